// Code points and bytes of UTF-8 strings, and the character classes and case mappings of Python's
// str. Strings handed in are valid UTF-8 (checked where they enter the engine).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::jinja {

bool valid_utf8(std::string_view bytes);

/// Number of code points.
std::size_t count_points(std::string_view bytes);

/// Byte offset of the code point with this index (bytes.size() when past the end).
std::size_t offset_of(std::string_view bytes, std::size_t index);

/// Code point at a byte offset; `size` is set to its length in bytes (1-4).
char32_t decode(std::string_view bytes, std::size_t offset, std::size_t& size);

void append_utf8(std::string& out, char32_t point);

bool is_space(char32_t point);    // str.isspace
bool is_alpha(char32_t point);    // str.isalpha
bool is_decimal(char32_t point);  // str.isdecimal
bool is_digit(char32_t point);    // str.isdigit
bool is_numeric(char32_t point);  // str.isnumeric, without the CJK numerals
bool is_alnum(char32_t point);    // str.isalnum
bool is_lower(char32_t point);
bool is_upper(char32_t point);
bool is_cased(char32_t point);
bool is_printable(char32_t point);  // decides what repr escapes
bool is_word(char32_t point);       // \w

std::string to_upper(std::string_view bytes);
std::string to_lower(std::string_view bytes);
std::string to_title(std::string_view bytes);        // str.title
std::string to_capitalized(std::string_view bytes);  // str.capitalize
std::string swap_case(std::string_view bytes);

/// Length in bytes of the whitespace at the start or the end.
std::size_t leading_space(std::string_view bytes);
std::size_t trailing_space(std::string_view bytes);

}  // namespace weir::jinja
