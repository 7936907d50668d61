// The named pre-tokenizers (GGUF tokenizer.ggml.pre) of byte-level BPE: which published patterns
// each name stands for. An unknown name is refused with the list of known ones; nothing stands in
// for it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary_spec.h"

namespace weir {

struct NamedPreTokenizer {
  std::string_view name;
  std::vector<PreTokenizerStep> steps;
  bool ignore_merges = false;
  bool add_bos = false;  // if the file does not say
  bool add_sep = false;  // if the file does not say
  bool nfc = false;      // the published tokenizer normalises to NFC
};

/// Throws unsupported with the known names. An empty name is "default", as files without one mean.
NamedPreTokenizer named_pre_tokenizer(std::string_view name);

/// All names, in alphabetical order.
std::vector<std::string_view> pre_tokenizer_names();

/// Splits at the matches of one pattern and keeps both matches and gaps.
PreTokenizerStep isolated_split(std::string_view pattern);

/// A pattern equal to `pattern` in its matches and linear in the text, where the published one is
/// not; otherwise `pattern` itself.
std::string linear_pattern(std::string_view pattern);

/// GPT-2's pattern, which byte-level tokenizers use unless they say otherwise.
extern const std::string_view kGpt2Pattern;

}  // namespace weir
