#include "text/jinja/number_text.h"

#include <charconv>
#include <cstdlib>
#include <string>

#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

std::string_view stripped(std::string_view text) {
  text.remove_prefix(leading_space(text));
  text.remove_suffix(trailing_space(text));
  return text;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

// Takes the underscores between digits out; nothing if one stands elsewhere.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const bool between = i > 0 && i + 1 < text.size() && digit_value(text[i - 1]) < 36 &&
                         digit_value(text[i + 1]) < 36;
    if (!between) return std::nullopt;
  }
  return out;
}

// std::strtod reads more than Python does: hexadecimal floats.
bool is_decimal_float(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  std::string lower = to_lower(text);
  if (lower == "inf" || lower == "infinity" || lower == "nan") return true;
  bool digits = false;
  std::size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) digits = true;
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) digits = true;
  }
  if (!digits) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    const std::size_t start = i;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    }
    if (i == start) return false;
  }
  return i == text.size();
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  text = stripped(text);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    const int prefixed = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (prefixed != 0 && (base == prefixed || base == 0)) {
      base = prefixed;
      text.remove_prefix(text[2] == '_' ? 3 : 2);
    }
  }
  if (base == 0) base = 10;
  const auto digits = without_underscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  for (const char c : *digits) {
    if (digit_value(c) >= base) return std::nullopt;
  }
  const std::string signed_digits = (negative ? "-" : "") + *digits;
  std::int64_t value = 0;
  const auto result = std::from_chars(signed_digits.data(),
                                      signed_digits.data() + signed_digits.size(), value, base);
  if (result.ec != std::errc()) {
    raise("OverflowError", "an integer beyond 64 bits (Weir has no larger ones)");
  }
  return value;
}

std::optional<double> to_real(const Value& value) {
  if (value.is_number()) return value.as_real();
  if (!value.is_string()) return std::nullopt;
  const auto text = without_underscores(stripped(value.bytes()));
  if (!text || !is_decimal_float(*text)) return std::nullopt;
  return std::strtod(text->c_str(), nullptr);
}

}  // namespace weir::jinja
