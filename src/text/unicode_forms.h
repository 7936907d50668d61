// Unicode normal forms in linear time. utf8proc gives the tables (decomposition, composition); the
// canonical ordering is done here, because utf8proc's own is quadratic in a run of marks.
#pragma once

#include <string>
#include <string_view>

namespace weir {

enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// Bytes that are not valid UTF-8 are copied and end the sequence they stand in.
std::string normal_form(std::string_view text, NormalForm form);

/// True if all bytes are below 0x80.
bool is_ascii(std::string_view text);

/// Full lower case of one code point appended to `out`.
void append_lowercase(std::string& out, char32_t c);

/// General category Mn.
bool is_nonspacing_mark(char32_t c);
/// General categories Cc, Cf, Co, Cs.
bool is_control_character(char32_t c);
/// The White_Space property.
bool is_white_space(char32_t c);

}  // namespace weir
