// A look at JSON text before a parser sees it: bounds nesting and the length of single tokens, and
// refuses NUL (which the JSON library would take for the end of the text). Linear, allocates
// nothing.
#pragma once

#include <string_view>

namespace weir {

/// Throws bad_format or limit_exceeded naming `source` and the byte offset (counted from `base`).
void guard_json(std::string_view text, size_t max_depth, size_t max_token_bytes,
                std::string_view source, size_t base);

}  // namespace weir
