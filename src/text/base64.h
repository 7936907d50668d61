// Base64 (RFC 4648, standard alphabet), decoding only: character maps and tiktoken files use it.
#pragma once

#include <string>
#include <string_view>

namespace weir {

/// Throws bad_format at the first character outside the alphabet. Padding may be missing.
std::string decode_base64(std::string_view text);

}  // namespace weir
