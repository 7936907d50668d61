// 'text'.format(values), with attribute access as the sandbox allows it.
#include <algorithm>
#include <cmath>
#include <optional>

#include "text/jinja/format.h"
#include "text/jinja/format_spec.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

std::string grouped(std::string digits, char separator) {
  const std::size_t end = std::min(digits.find_first_not_of("0123456789"), digits.size());
  for (std::size_t at = end; at > 3; at -= 3) digits.insert(at - 3, 1, separator);
  return digits;
}

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

void format_number(Budget& budget, TextBuilder& out, const Spec& spec, const Value& value) {
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

void format_value(Budget& budget, TextBuilder& out, std::string_view text, bool trusted,
                  const Value& value) {
  if (text.empty()) {
    out.append(to_text(budget, value).text());
    return;
  }
  Spec spec = parse_spec(text);
  spec.trusted = trusted;
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
    format_value(budget, out, spec, text.all_trusted(), value);
    at = end + 1;
  }
  return out.take(text.markup);
}

}  // namespace weir::jinja
