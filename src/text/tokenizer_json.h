// Reads Hugging Face's tokenizer.json. Supports the parts listed in docs of each function below and
// refuses every other by name: a tokenizer that is nearly right gives wrong answers silently.
#pragma once

#include <string_view>

#include "text/vocabulary_spec.h"

namespace weir {

/// `tokenizer_json` holds the model, `tokenizer_config_json` (may be empty) names BOS, EOS and
/// other special tokens. Throws bad_format (not JSON, a field missing or of another type, with its
/// path) or unsupported (a part that Weir does not know).
VocabularySpec from_tokenizer_json(std::string_view tokenizer_json,
                                   std::string_view tokenizer_config_json);

}  // namespace weir
