// Loads the published vocabularies for the tests: from GGUF metadata, tiktoken ranks, and the pairs
// encoder.json + vocab.bpe. Knows which vectors belong to which file.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/vocabulary_spec.h"

namespace weir::test {

VocabularySpec gguf_vocabulary(const std::filesystem::path& path);

/// Base64 tokens with ranks; the merges are worked out from the ranks.
VocabularySpec tiktoken_vocabulary(const std::filesystem::path& path, std::string_view pre);

/// GPT-2's own format: a JSON map from token to id, and a text of merges.
VocabularySpec encoder_vocabulary(const std::filesystem::path& encoder,
                                  const std::filesystem::path& merges, std::string_view pre);

/// One token a line, as Google published BERT's.
VocabularySpec bert_vocabulary(const std::filesystem::path& path);

/// The spec behind a short name ("llama-spm", "gpt-2", …, "llama-bpe", "qwen2", "bert-vocab"), or
/// nothing if the shared data is absent.
std::optional<VocabularySpec> published_vocabulary(std::string_view name);

/// Made once a name and kept; null if the shared data is absent.
std::shared_ptr<const Tokenizer> published_tokenizer(std::string_view name);

struct Vector {
  std::string text;
  std::vector<int32_t> ids;
};
/// The strings of an .inp file with the ids of the .out file beside it.
std::vector<Vector> read_vectors(const std::filesystem::path& inp);

/// "12 34 56", for messages.
std::string joined(const std::vector<int32_t>& ids);

}  // namespace weir::test
