#include "text/jinja/lexer.h"

#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  return out;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : owned_(normalize_newlines(source)), source_(owned_) {
    if (source_.ends_with('\n')) source_.remove_suffix(1);
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    push(TokenKind::end);
    return std::move(tokens_);
  }

 private:
  void push(TokenKind kind, std::string text = {}) {
    tokens_.push_back({kind, line_, std::move(text)});
  }

  bool looking_at(std::string_view wanted, std::size_t at) const {
    return source_.substr(std::min(at, source_.size())).starts_with(wanted);
  }

  char peek(std::size_t at) const { return at < source_.size() ? source_[at] : '\0'; }

  void advance(std::size_t to) {
    for (; at_ < to; ++at_) line_ += source_[at_] == '\n';
  }

  std::size_t skip_space(std::size_t at) const {
    return at + leading_space(source_.substr(std::min(at, source_.size())));
  }

  // Text before the next tag, and the opening of that tag.
  void text() {
    std::size_t tag = at_;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= source_.size()) {
        data(source_.size());
        advance(source_.size());
        return;
      }
      const char next = source_[tag + 1];
      if (next == '%' || next == '#' || next == '{') break;
      ++tag;
    }
    const char kind = source_[tag + 1];
    const char sign = peek(tag + 2);
    const bool signed_tag = sign == '-' || sign == '+';
    trimmed_data(tag, signed_tag ? sign : '\0', kind != '{');
    const std::size_t inside = tag + 2 + (signed_tag ? 1 : 0);
    if (kind == '#') {
      advance(inside);
      comment();
    } else if (kind == '{') {
      push(TokenKind::variable_begin);
      advance(inside);
      tag_tokens('}');
    } else if (const std::size_t end = raw_begin(inside); end != 0) {
      advance(end);
      line_starting_ = source_[end - 1] == '\n';
      raw();
    } else {
      push(TokenKind::block_begin);
      advance(inside);
      tag_tokens('%');
    }
  }

  void data(std::size_t end) {
    if (end > at_) push(TokenKind::data, std::string(source_.substr(at_, end - at_)));
  }

  // Emits the text up to `end`, stripped as the tag behind it asks.
  void trimmed_data(std::size_t end, char sign, bool lstrip) {
    const std::string_view text = source_.substr(at_, end - at_);
    if (sign == '-') {
      data(end - trailing_space(text));
    } else if (sign != '+' && lstrip) {
      const std::size_t newline = text.rfind('\n');
      const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
      const bool at_line_start = start > 0 || line_starting_;
      const std::string_view last = text.substr(start);
      const bool blank = !last.empty() && leading_space(last) == last.size();
      data(at_line_start && blank ? at_ + start : end);
    } else {
      data(end);
    }
    advance(end);
  }

  // End of `raw %}` at `at`, or 0 if this is no raw tag.
  std::size_t raw_begin(std::size_t at) const {
    at = skip_space(at);
    if (!looking_at("raw", at)) return 0;
    at = skip_space(at + 3);
    if (looking_at("-%}", at)) return skip_space(at + 3);
    return looking_at("%}", at) ? at + 2 : 0;
  }

  // End of a closing mark ("%}" or "#}") at `at` with its sign and the newline it swallows, or 0.
  std::size_t closing(std::size_t at, char mark) const {
    const char close[] = {mark, '}', '\0'};
    if (peek(at) == '+' && looking_at(close, at + 1)) return at + 3;
    if (peek(at) == '-' && looking_at(close, at + 1)) return skip_space(at + 3);
    if (!looking_at(close, at)) return 0;
    return at + 2 + (peek(at + 2) == '\n' ? 1 : 0);
  }

  void comment() {
    for (std::size_t at = at_; at < source_.size(); ++at) {
      const std::size_t end = closing(at, '#');
      if (end == 0) continue;
      advance(end);
      line_starting_ = source_[end - 1] == '\n';
      return;
    }
    syntax_error(line_, "a comment that opens here is never closed with #}");
  }

  void raw() {
    for (std::size_t at = source_.find("{%", at_); at != std::string_view::npos;
         at = source_.find("{%", at + 1)) {
      const char sign = peek(at + 2);
      const bool signed_tag = sign == '-' || sign == '+';
      const std::size_t name = skip_space(at + 2 + (signed_tag ? 1 : 0));
      if (!looking_at("endraw", name)) continue;
      const std::size_t end = closing(skip_space(name + 6), '%');
      if (end == 0) continue;
      trimmed_data(at, signed_tag ? sign : '\0', true);
      advance(end);
      line_starting_ = source_[end - 1] == '\n';
      return;
    }
    syntax_error(line_, "a raw block that opens here is never closed with {% endraw %}");
  }

  // Tokens up to and with the end of a tag; `mark` is '%' or '}'.
  void tag_tokens(char mark) {
    std::string open;  // brackets waiting for their partner
    while (at_ < source_.size()) {
      if (open.empty()) {
        if (const std::size_t end = tag_end(mark); end != 0) {
          push(mark == '%' ? TokenKind::block_end : TokenKind::variable_end);
          advance(end);
          line_starting_ = source_[end - 1] == '\n';
          return;
        }
      }
      std::size_t size = 0;
      const char32_t point = decode(source_, at_, size);
      if (is_space(point)) {
        advance(at_ + size);
      } else if (point >= '0' && point <= '9') {
        number();
      } else if (is_word(point)) {
        name();
      } else if (point == '"' || point == '\'') {
        string();
      } else {
        sign(open);
      }
    }
    syntax_error(line_, mark == '%' ? "a statement is never closed with %}"
                                    : "an expression is never closed with }}");
  }

  std::size_t tag_end(char mark) const {
    if (mark == '%') return closing(at_, '%');
    if (looking_at("-}}", at_)) return skip_space(at_ + 3);
    return looking_at("}}", at_) ? at_ + 2 : 0;
  }

  void name() {
    std::size_t end = at_;
    while (end < source_.size()) {
      std::size_t size = 0;
      if (!is_word(decode(source_, end, size))) break;
      end += size;
    }
    push(TokenKind::name, std::string(source_.substr(at_, end - at_)));
    advance(end);
  }

  // Digits with single underscores between them, from `at`; returns the end.
  std::size_t digits(std::size_t at, int base, std::string& out) const {
    while (true) {
      const std::size_t digit = peek(at) == '_' && !out.empty() ? at + 1 : at;
      const int value = hex_value(peek(digit));
      if (value < 0 || value >= base) return at;
      out += source_[digit];
      at = digit + 1;
    }
  }

  void number() {
    std::string whole;
    std::size_t end = digits(at_, 10, whole);
    std::string text = whole;
    bool real = false;
    std::string part;
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    if (!after_dot && peek(end) == '.') {
      const std::size_t stop = digits(end + 1, 10, part);
      if (!part.empty()) {
        real = true;
        text += "." + part;
        end = stop;
      }
    }
    if (!after_dot && (peek(end) == 'e' || peek(end) == 'E')) {
      std::size_t at = end + 1;
      const bool minus = peek(at) == '-';
      if (minus || peek(at) == '+') ++at;
      part.clear();
      const std::size_t stop = digits(at, 10, part);
      if (!part.empty()) {
        real = true;
        text += (minus ? "e-" : "e") + part;
        end = stop;
      }
    }
    if (real) {
      tokens_.push_back({TokenKind::real, line_, text, 0, std::strtod(text.c_str(), nullptr)});
      advance(end);
      return;
    }
    integer(whole, end);
  }

  void integer(std::string whole, std::size_t end) {
    int base = 10;
    const char prefix = whole == "0" ? static_cast<char>(peek(at_ + 1) | 0x20) : '\0';
    if (prefix == 'x' || prefix == 'o' || prefix == 'b') {
      const int other = prefix == 'x' ? 16 : prefix == 'o' ? 8 : 2;
      std::string text;
      std::size_t from = at_ + 2;
      if (peek(from) == '_') ++from;
      const std::size_t stop = digits(from, other, text);
      if (!text.empty()) {
        base = other;
        whole = text;
        end = stop;
      }
    }
    // 007 is three integers to the reference, which its parser then refuses.
    if (base == 10 && whole.size() > 1 && whole[0] == '0' &&
        whole.find_first_not_of('0') != std::string::npos) {
      syntax_error(line_, fmt::format("an integer may not start with 0: {}", whole.substr(0, 30)));
    }
    std::int64_t value = 0;
    const auto result = std::from_chars(whole.data(), whole.data() + whole.size(), value, base);
    if (result.ec != std::errc()) {
      syntax_error(line_,
                   fmt::format("the integer {} does not fit in 64 bits", whole.substr(0, 30)));
    }
    tokens_.push_back({TokenKind::integer, line_, whole, value});
    advance(end);
  }

  void string() {
    const char quote = source_[at_];
    const int line = line_;
    std::string out;
    std::size_t at = at_ + 1;
    while (at < source_.size() && source_[at] != quote) {
      if (source_[at] != '\\') {
        out += source_[at++];
      } else {
        at = escape(at + 1, out);
      }
    }
    if (at >= source_.size()) syntax_error(line, "a string that opens here is never closed");
    push(TokenKind::string, std::move(out));
    advance(at + 1);
  }

  // The escape sequence whose letter is at `at`; returns the offset behind it.
  std::size_t escape(std::size_t at, std::string& out) const {
    constexpr std::string_view kLetters = "\\'\"abfnrtv";
    constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (at >= source_.size()) syntax_error(line_, "a string is never closed");
    const char letter = source_[at];
    if (const auto found = kLetters.find(letter); found != std::string_view::npos) {
      out += kMeanings[found];
      return at + 1;
    }
    if (letter == '\n') return at + 1;
    if (letter >= '0' && letter <= '7') {
      char32_t point = 0;
      std::size_t end = at;
      for (; end < at + 3 && peek(end) >= '0' && peek(end) <= '7'; ++end) {
        point = point * 8 + static_cast<char32_t>(peek(end) - '0');
      }
      append_utf8(out, point);
      return end;
    }
    const std::size_t count = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (letter == 'N') syntax_error(line_, "\\N{...} escapes are not supported in strings");
    if (count == 0) {
      out += '\\';
      return at;  // an unknown escape stands for itself
    }
    char32_t point = 0;
    for (std::size_t i = 1; i <= count; ++i) {
      const int digit = hex_value(peek(at + i));
      if (digit < 0) {
        syntax_error(line_, fmt::format("\\{} needs {} hexadecimal digits", letter, count));
      }
      point = (point << 4) | static_cast<char32_t>(digit);
    }
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      syntax_error(line_, fmt::format("\\{} names no Unicode character", letter));
    }
    append_utf8(out, point);
    return at + 1 + count;
  }

  void sign(std::string& open) {
    constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
    constexpr std::string_view kOne = "+-/*%~[](){}><=.:|,;";
    for (const std::string_view two : kTwo) {
      if (!looking_at(two, at_)) continue;
      push(TokenKind::sign, std::string(two));
      advance(at_ + 2);
      return;
    }
    const char c = source_[at_];
    if (kOne.find(c) == std::string_view::npos) {
      std::size_t size = 0;
      decode(source_, at_, size);
      syntax_error(line_,
                   fmt::format("unexpected character {}", quoted(source_.substr(at_, size))));
    }
    if (c == '{' || c == '(' || c == '[') open += c == '{' ? '}' : c == '(' ? ')' : ']';
    if (c == '}' || c == ')' || c == ']') {
      if (open.empty()) syntax_error(line_, fmt::format("unexpected '{}'", c));
      if (open.back() != c) {
        syntax_error(line_, fmt::format("unexpected '{}', expected '{}'", c, open.back()));
      }
      open.pop_back();
    }
    push(TokenKind::sign, std::string(1, c));
    advance(at_ + 1);
  }

  const std::string owned_;
  std::string_view source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the last tag ended with a newline, or nothing came before
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

void syntax_error(int line, const std::string& message) {
  fail(Code::bad_format, "chat template, line {}: {}", line, message);
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::data:
      return "text";
    case TokenKind::variable_begin:
      return "'{{'";
    case TokenKind::variable_end:
      return "'}}'";
    case TokenKind::block_begin:
      return "'{%'";
    case TokenKind::block_end:
      return "'%}'";
    case TokenKind::string:
      return "string " + quoted_short(token.text);
    case TokenKind::end:
      return "the end of the template";
    default:
      return quoted_short(token.text);
  }
}

}  // namespace weir::jinja
