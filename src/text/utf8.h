// UTF-8: strict decoding of one code point, encoding, validity. Invalid bytes are reported, never
// repaired here: each caller says what it does with them. Owns no Unicode properties.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

/// One step of a decoder. If `valid` is false, `bytes` is 1 and `value` is that byte.
struct CodePoint {
  char32_t value;
  uint32_t bytes;
  bool valid;
};

namespace detail {
CodePoint decode_long_utf8(std::string_view text, size_t at);
}  // namespace detail

/// Decodes at `at` (< text.size()). Overlong forms, surrogates and values above U+10FFFF are
/// invalid.
inline CodePoint decode_utf8(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  return first < 0x80 ? CodePoint{first, 1, true} : detail::decode_long_utf8(text, at);
}

void append_utf8(std::string& out, char32_t code_point);

/// Length of the longest prefix of `text` that is valid UTF-8.
size_t valid_utf8_prefix(std::string_view text);

inline bool is_valid_utf8(std::string_view text) { return valid_utf8_prefix(text) == text.size(); }

/// Turns a stream of bytes into a stream of valid UTF-8: a sequence that may still be completed is
/// held back (at most three bytes); one that cannot be becomes U+FFFD, one for each maximal
/// ill-formed part (Unicode standard, section 3.9, table 3-8). How the bytes are cut into pushes
/// does not change the concatenated output.
class Utf8Filter {
 public:
  std::string push(std::string_view bytes);
  /// Ends the stream: an unfinished sequence becomes one U+FFFD.
  std::string finish();

 private:
  std::string pending_;
};

}  // namespace weir
