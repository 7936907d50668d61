// Cuts template source into tokens as Jinja does with trim_blocks and lstrip_blocks on and no
// trailing newline kept: text, the three kinds of tags, raw blocks, whitespace control.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::jinja {

enum class TokenKind : std::uint8_t {
  data,
  variable_begin,
  variable_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  real,
  sign,  // an operator or bracket
  end,
};

struct Token {
  TokenKind kind;
  int line;
  std::string text;  // of data, names, signs; the unescaped value of strings
  std::int64_t integer = 0;
  double real = 0;
};

/// Throws Error{bad_format}, naming the line.
std::vector<Token> tokenize(std::string_view source);

/// Fails with the line and the reason.
[[noreturn]] void syntax_error(int line, const std::string& message);

/// A token for error messages.
std::string describe(const Token& token);

}  // namespace weir::jinja
