// Byte-pair encoding by ranked merges, over bytes (GPT-2 and its line) or over characters with byte
// fallback (Llama's tokenizer.json). Owns the table of merges; refuses merges of absent tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/model.h"
#include "text/symbol_merger.h"
#include "text/vocabulary.h"

namespace weir {

class BpeModel final : public TokenModel {
 public:
  /// `vocabulary` must outlive the model. Throws bad_format.
  BpeModel(const Vocabulary& vocabulary, const VocabularySpec& spec, const Pipeline& pipeline);
  void encode(std::string_view word, EncodeScratch& scratch,
              std::vector<int32_t>& ids) const override;

 private:
  struct Pair {
    int32_t left = -1, right = -1;
    MergeResult result;
  };
  void build_merges(const std::vector<std::string>& merges);
  /// Text of a merge as the vocabulary stores it; false if a byte-level one stores it literally.
  bool append_bytes(std::string& out, std::string_view text) const;
  void add_pair(const Pair& pair);
  MergeResult merge_of(int32_t left, int32_t right) const;

  const Vocabulary& vocabulary_;
  bool byte_level_;
  bool ignore_merges_;
  UnknownPolicy unknown_;
  JoinFilter joins_;         // where no merge can reach across
  std::vector<Pair> pairs_;  // open addressing, a power of two, at most half full
};

}  // namespace weir
