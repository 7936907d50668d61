#include "text/jinja/format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "text/jinja/interpreter.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

constexpr int kMaxPrecision = 400;  // digits after the point; more than any double has
constexpr std::int64_t kMaxWidth = 1 << 20;

std::string digits_of(std::int64_t value, char type) {
  const std::uint64_t magnitude =
      value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
  switch (type) {
    case 'x':
      return fmt::format("{:x}", magnitude);
    case 'X':
      return fmt::format("{:X}", magnitude);
    case 'o':
      return fmt::format("{:o}", magnitude);
    case 'b':
      return fmt::format("{:b}", magnitude);
    default:
      return std::to_string(magnitude);
  }
}

struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';
  bool alternate = false;
  char group = '\0';
  std::int64_t width = 0;
  std::optional<std::int64_t> precision;
  char type = '\0';
};

std::int64_t bounded(std::int64_t value) {
  if (value > kMaxWidth) throw LimitHit{fmt::format("a field width above {}", kMaxWidth)};
  return value;
}

// Pads `body` (after `prefix`, a sign) to the width, trusted unless the text was not.
void pad(TextBuilder& out, const Spec& spec, std::string_view prefix, const Value& body,
         char default_align) {
  const auto width = static_cast<std::size_t>(spec.width);
  const std::size_t have = prefix.size() + body.text().points;
  const std::size_t missing = width > have ? width - have : 0;
  const char align = spec.align != '\0' ? spec.align : default_align;
  std::size_t before = 0;
  if (align == '>') before = missing;
  if (align == '^') before = missing / 2;
  std::string fill;
  const auto fill_with = [&](std::size_t count) {
    fill.clear();
    for (std::size_t i = 0; i < count; ++i) fill += spec.fill;
    out.append(fill, true);
  };
  fill_with(before);
  out.append(prefix, true);
  if (align == '=') fill_with(missing);
  out.append(body.text());
  if (align == '<' || align == '^') fill_with(missing - before);
}

std::string grouped(std::string digits, char separator) {
  const std::size_t end = std::min(digits.find_first_not_of("0123456789"), digits.size());
  for (std::size_t at = end; at > 3; at -= 3) digits.insert(at - 3, 1, separator);
  return digits;
}

std::string sign_of(bool negative, char sign) {
  if (negative) return "-";
  return sign == '+' || sign == ' ' ? std::string(1, sign) : std::string();
}

class Percent {
 public:
  Percent(Budget& budget, const Value& format, const Value& args)
      : budget_(budget), format_(format), bytes_(format.bytes()), args_(args), out_(budget) {
    if (args.is(Kind::tuple)) {
      count_ = args.as<Sequence>().items.size();
    } else {
      count_ = 1;
    }
  }

  Value run() {
    budget_.scan(bytes_.size());
    std::size_t done = 0;
    while (true) {
      const std::size_t mark = bytes_.find('%', done);
      out_.append(format_.text(), done, std::min(mark, bytes_.size()));
      if (mark == std::string_view::npos) break;
      at_ = mark + 1;
      budget_.step();
      conversion();
      done = at_;
    }
    // A mapping may hold more than is used; a single value or a tuple must be used up.
    const bool mapping = args_.is(Kind::dict) || args_.is(Kind::list);
    if (used_ < count_ && !(mapping && !args_.is(Kind::tuple)) && !named_) {
      raise("TypeError", "not all arguments converted during string formatting");
    }
    return out_.take(format_.text().markup);
  }

 private:
  char peek() const { return at_ < bytes_.size() ? bytes_[at_] : '\0'; }

  Value next_argument() {
    if (used_ >= count_) raise("TypeError", "not enough arguments for format string");
    const std::size_t index = used_++;
    return args_.is(Kind::tuple) ? args_.as<Sequence>().items[index] : args_;
  }

  std::int64_t number() {
    if (peek() == '*') {
      ++at_;
      const Value value = next_argument();
      if (!value.is_integral()) raise("TypeError", "* wants int");
      return value.as_integer();
    }
    std::int64_t value = 0;
    while (peek() >= '0' && peek() <= '9') value = bounded(value * 10 + (bytes_[at_++] - '0'));
    return value;
  }

  void conversion() {
    Spec spec;
    std::optional<Value> named;
    if (peek() == '(') {
      const std::size_t end = bytes_.find(')', at_);
      if (end == std::string_view::npos) raise("ValueError", "incomplete format key");
      if (!args_.is(Kind::dict)) raise("TypeError", "format requires a mapping");
      const std::string_view key = bytes_.substr(at_ + 1, end - at_ - 1);
      const Value* found = args_.as<Dict>().find(key);
      if (found == nullptr) raise("KeyError", "{}", quoted_short(key));
      named = *found;
      named_ = true;
      at_ = end + 1;
    }
    bool left = false;
    bool zero = false;
    for (;; ++at_) {
      if (peek() == '-') {
        left = true;
      } else if (peek() == '0') {
        zero = true;
      } else if (peek() == '+') {
        spec.sign = '+';
      } else if (peek() == ' ') {
        spec.sign = spec.sign == '+' ? '+' : ' ';
      } else if (peek() == '#') {
        spec.alternate = true;
      } else {
        break;
      }
    }
    spec.width = number();
    if (spec.width < 0) {
      left = true;
      spec.width = -spec.width;
    }
    spec.width = bounded(spec.width);
    if (peek() == '.') {
      ++at_;
      spec.precision = std::max<std::int64_t>(number(), 0);
    }
    while (peek() == 'l' || peek() == 'h' || peek() == 'L') ++at_;
    spec.type = peek();
    if (spec.type == '\0') raise("ValueError", "incomplete format");
    ++at_;
    if (spec.type == '%') {
      out_.append("%", format_.text().all_trusted());
      return;
    }
    spec.align = left ? '<' : zero ? '=' : '>';
    if (zero && !left) spec.fill = "0";
    convert(spec, named ? *named : next_argument());
  }

  void convert(Spec& spec, const Value& value) {
    switch (spec.type) {
      case 's':
      case 'r':
      case 'a': {
        Value text = spec.type == 's' ? to_text(budget_, value)
                                      : make_text(budget_, repr(budget_, value), false);
        if (format_.text().markup) text = escape_html(budget_, spec.type == 's' ? value : text);
        if (spec.precision) {
          text = slice(budget_, text, Value(), Value::integer(*spec.precision), Value());
        }
        if (spec.align == '=') spec.align = '>';
        spec.fill = " ";
        pad(out_, spec, "", text, '>');
        return;
      }
      case 'c': {
        if (!value.is_integral() && !(value.is_string() && value.text().points == 1)) {
          raise("TypeError", "%c requires int or char");
        }
        Value text = value;
        if (!value.is_string()) {
          const std::int64_t point = value.as_integer();
          if (point < 0 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
            raise("OverflowError", "%c arg not in range(0x110000)");
          }
          std::string bytes;
          append_utf8(bytes, static_cast<char32_t>(point));
          text = make_text(budget_, bytes, false);
        }
        pad(out_, spec, "", text, '>');
        return;
      }
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        integer(spec, value);
        return;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        real(spec, value);
        return;
      default:
        raise("ValueError", "unsupported format character '{}' (0x{:x}) at index {}", spec.type,
              static_cast<unsigned char>(spec.type), at_ - 1);
    }
  }

  void integer(const Spec& spec, const Value& value) {
    if (value.is_undefined()) raise_undefined(value);
    const bool decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u';
    std::int64_t number = 0;
    if (value.is_integral()) {
      number = value.as_integer();
    } else if (value.is(Kind::real) && decimal && std::fabs(value.as_real()) < 9e18) {
      number = static_cast<std::int64_t>(value.as_real());
    } else {
      raise("TypeError", "%{} format: {} is required, not {}", spec.type,
            decimal ? "a real number" : "an integer", type_name(value));
    }
    std::string digits = digits_of(number, spec.type);
    const auto wanted = static_cast<std::size_t>(bounded(spec.precision.value_or(0)));
    if (digits.size() < wanted) digits.insert(0, wanted - digits.size(), '0');
    std::string prefix = sign_of(number < 0, spec.sign);
    if (spec.alternate && !decimal) prefix += std::string("0") + spec.type;
    pad(out_, spec, prefix, make_text(budget_, digits, true), '>');
  }

  void real(const Spec& spec, const Value& value) {
    if (value.is_undefined()) raise_undefined(value);
    if (!value.is_number()) {
      raise("TypeError", "must be real number, not {}", type_name(value));
    }
    const double number = value.as_real();
    const auto precision =
        static_cast<int>(std::min<std::int64_t>(spec.precision.value_or(6), kMaxPrecision));
    const std::string digits = format_real(std::fabs(number), spec.type, precision, spec.alternate);
    pad(out_, spec, sign_of(std::signbit(number) && !std::isnan(number), spec.sign),
        make_text(budget_, digits, true), '>');
  }

  Budget& budget_;
  const Value& format_;
  const std::string_view bytes_;
  const Value& args_;
  TextBuilder out_;
  std::size_t at_ = 0;
  std::size_t used_ = 0;
  std::size_t count_ = 0;
  bool named_ = false;
};

Spec parse_spec(std::string_view text) {
  Spec spec;
  std::size_t at = 0;
  const auto peek = [&](std::size_t i) { return i < text.size() ? text[i] : '\0'; };
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (!text.empty()) {
    std::size_t size = 0;
    decode(text, 0, size);
    if (is_align(peek(size))) {
      spec.fill = std::string(text.substr(0, size));
      spec.align = text[size];
      at = size + 1;
    } else if (is_align(text[0])) {
      spec.align = text[0];
      at = 1;
    }
  }
  if (peek(at) == '+' || peek(at) == '-' || peek(at) == ' ') spec.sign = text[at++];
  if (peek(at) == '#') {
    spec.alternate = true;
    ++at;
  }
  if (peek(at) == '0') {
    if (spec.align == '\0') {
      spec.fill = "0";
      spec.align = '=';
    }
    ++at;
  }
  while (peek(at) >= '0' && peek(at) <= '9') {
    spec.width = bounded(spec.width * 10 + (text[at++] - '0'));
  }
  if (peek(at) == ',' || peek(at) == '_') spec.group = text[at++];
  if (peek(at) == '.') {
    ++at;
    std::int64_t precision = 0;
    if (!(peek(at) >= '0' && peek(at) <= '9')) {
      raise("ValueError", "Format specifier missing precision");
    }
    while (peek(at) >= '0' && peek(at) <= '9') {
      precision = bounded(precision * 10 + (text[at++] - '0'));
    }
    spec.precision = precision;
  }
  if (at < text.size()) spec.type = text[at++];
  if (at < text.size()) raise("ValueError", "Invalid format specifier");
  return spec;
}

[[noreturn]] void unknown_code(const Spec& spec, const Value& value) {
  raise("ValueError", "Unknown format code '{}' for object of type '{}'", spec.type,
        type_name(value));
}

void format_number(Budget& budget, TextBuilder& out, Spec spec, const Value& value) {
  std::string digits;
  std::string prefix;
  const bool as_integer =
      value.is_integral() &&
      (spec.type == '\0' || spec.type == 'd' || spec.type == 'x' || spec.type == 'X' ||
       spec.type == 'o' || spec.type == 'b' || spec.type == 'n');
  if (as_integer) {
    if (spec.precision) raise("ValueError", "Precision not allowed in integer format specifier");
    prefix = sign_of(value.as_integer() < 0, spec.sign);
    digits = digits_of(value.as_integer(), spec.type);
    if (spec.alternate && spec.type != 'd' && spec.type != '\0') {
      prefix += std::string("0") + spec.type;
    }
  } else {
    double number = value.as_real();
    prefix = sign_of(std::signbit(number) && !std::isnan(number), spec.sign);
    number = std::fabs(number);
    const auto precision =
        static_cast<int>(std::min<std::int64_t>(spec.precision.value_or(6), kMaxPrecision));
    constexpr std::string_view kTypes = "eEfFgG%n";
    if (spec.type == '\0') {
      digits = spec.precision ? format_real(number, 'g', precision) : float_repr(number);
      if (spec.precision && digits.find_first_of(".en") == std::string::npos) digits += ".0";
    } else if (kTypes.find(spec.type) == std::string_view::npos) {
      unknown_code(spec, value);
    } else if (spec.type == '%') {
      digits = format_real(number * 100, 'f', precision) + "%";
    } else {
      digits = format_real(number, spec.type == 'n' ? 'g' : spec.type, precision);
    }
  }
  if (spec.group != '\0') digits = grouped(std::move(digits), spec.group);
  pad(out, spec, prefix, make_text(budget, digits, true), '>');
}

void format_value(Budget& budget, TextBuilder& out, std::string_view text, const Value& value) {
  if (text.empty()) {
    out.append(to_text(budget, value).text());
    return;
  }
  Spec spec = parse_spec(text);
  if (value.is_number()) {
    format_number(budget, out, spec, value);
    return;
  }
  if (!value.is_string()) {
    raise("TypeError", "unsupported format string passed to {}.__format__", type_name(value));
  }
  if (spec.type != '\0' && spec.type != 's') unknown_code(spec, value);
  if (spec.align == '=') {
    raise("ValueError", "'=' alignment not allowed in string format specifier");
  }
  Value shown = to_text(budget, value);
  if (spec.precision) {
    shown = slice(budget, shown, Value(), Value::integer(*spec.precision), Value());
  }
  pad(out, spec, "", shown, '<');
}

// The value a replacement field names: "0.role", "name[key]", or the next positional argument.
Value field_value(Budget& budget, std::string_view name, const CallArgs& args, std::size_t& next) {
  const std::size_t end = std::min(name.find_first_of(".["), name.size());
  const std::string_view first = name.substr(0, end);
  Value value;
  const bool numeric = !first.empty() && std::all_of(first.begin(), first.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
  if (first.empty() || numeric) {
    std::size_t index = 0;
    for (const char c : first.substr(0, 9)) index = index * 10 + static_cast<std::size_t>(c - '0');
    if (first.empty()) index = next++;
    if (first.size() > 9 || index >= args.positional.size()) {
      raise("IndexError", "Replacement index {} out of range for positional args tuple", index);
    }
    value = args.positional[index];
  } else {
    const Value* found = args.find(first);
    if (found == nullptr) raise("KeyError", "{}", quoted_short(first));
    value = *found;
  }
  for (std::size_t at = end; at < name.size();) {
    budget.step();
    if (name[at] == '.') {
      const std::size_t stop = std::min(name.find_first_of(".[", at + 1), name.size());
      if (stop == at + 1) raise("ValueError", "Empty attribute in format string");
      value = get_attribute(budget, value, name.substr(at + 1, stop - at - 1));
      at = stop;
    } else {
      const std::size_t stop = name.find(']', at);
      if (name[at] != '[' || stop == std::string_view::npos) {
        raise("ValueError", "Missing ']' in format string");
      }
      const std::string_view key = name.substr(at + 1, stop - at - 1);
      const bool index =
          !key.empty() && key.size() < 10 &&
          std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
      value = get_item(
          budget, value,
          index ? Value::integer(std::stoll(std::string(key))) : Value::constant(std::string(key)));
      at = stop + 1;
    }
  }
  return value;
}

}  // namespace

std::string format_real(double value, char type, int precision, bool alternate) {
  if (std::isnan(value)) return type >= 'a' ? "nan" : "NAN";
  if (std::isinf(value)) return type >= 'a' ? "inf" : "INF";
  char format[8] = {'%', '.', '*', type, '\0'};
  if (alternate) std::snprintf(format, sizeof(format), "%%#.*%c", type);
  char buffer[800];
  const int size = std::snprintf(buffer, sizeof(buffer), format, precision, value);
  return std::string(
      buffer, static_cast<std::size_t>(std::clamp(size, 0, static_cast<int>(sizeof(buffer)) - 1)));
}

Value percent_format(Budget& budget, const Value& format, const Value& args) {
  return Percent(budget, format, args).run();
}

Value brace_format(Budget& budget, const Value& format, const CallArgs& args) {
  const std::string_view bytes = format.bytes();
  const Text& text = format.text();
  budget.scan(bytes.size());
  TextBuilder out(budget);
  std::size_t next = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t mark = std::min(bytes.find_first_of("{}", at), bytes.size());
    out.append(text, at, mark);
    if (mark == bytes.size()) break;
    budget.step();
    if (mark + 1 < bytes.size() && bytes[mark + 1] == bytes[mark]) {
      out.append(text, mark, mark + 1);
      at = mark + 2;
      continue;
    }
    if (bytes[mark] == '}') raise("ValueError", "Single '}}' encountered in format string");
    const std::size_t end = bytes.find('}', mark);
    if (end == std::string_view::npos) {
      raise("ValueError", "expected '}}' before end of string");
    }
    std::string_view field = bytes.substr(mark + 1, end - mark - 1);
    if (field.find('{') != std::string_view::npos) {
      raise("ValueError", "nested replacement fields are not supported by Weir");
    }
    const std::size_t colon = std::min(field.find(':'), field.size());
    const std::string_view spec = field.substr(std::min(colon + 1, field.size()));
    field = field.substr(0, colon);
    char conversion = '\0';
    if (const std::size_t bang = field.find('!'); bang != std::string_view::npos) {
      if (field.size() != bang + 2) raise("ValueError", "invalid conversion in format string");
      conversion = field[bang + 1];
      field = field.substr(0, bang);
    }
    Value value = field_value(budget, field, args, next);
    if (conversion == 's') value = to_text(budget, value);
    if (conversion == 'r' || conversion == 'a') {
      value = make_text(budget, repr(budget, value), false);
    }
    if (text.markup) value = escape_html(budget, value);
    format_value(budget, out, spec, value);
    at = end + 1;
  }
  return out.take(text.markup);
}

}  // namespace weir::jinja
