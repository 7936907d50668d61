// The str methods that change letters, pad, format and classify. Changed letters count as untrusted
// unless the whole text was trusted.
#include <algorithm>

#include "text/jinja/format.h"
#include "text/jinja/methods.h"
#include "text/jinja/text_args.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

constexpr Kind kText = Kind::string;

Value with_case(Interpreter& in, const Value& self, std::string (*change)(std::string_view)) {
  in.budget().scan(4 * self.bytes().size());
  return make_text(in.budget(), change(self.bytes()), self.text().all_trusted(),
                   self.text().markup);
}

template <std::string (*change)(std::string_view)>
Value change_case(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("upper", args, 0, 0);
  return with_case(in, self, change);
}

// ljust, rjust, center: `before` and `after` say how the missing characters are shared.
Value padded(Interpreter& in, const Value& self, const CallArgs& args, std::string_view name,
             char align) {
  const TextArgs plain(name, args, 1, 2);
  const std::int64_t width = plain.integer(0, 0);
  const Value fill = args.positional.size() > 1 ? plain.text(1) : Value::constant(" ");
  if (fill.text().points != 1) {
    raise("TypeError", "The fill character must be exactly one character long");
  }
  const auto have = static_cast<std::int64_t>(self.text().points);
  if (width <= have) return self;
  const auto missing = static_cast<std::size_t>(width - have);
  in.budget().expect(missing);
  in.budget().step(missing / 8);
  std::size_t before = 0;
  if (align == '>') before = missing;
  // CPython puts the odd one to the left when both counts are odd.
  if (align == '^') before = missing / 2 + (missing & static_cast<std::size_t>(width) & 1);
  TextBuilder out(in.budget());
  for (std::size_t i = 0; i < before; ++i) out.append(fill.text());
  out.append(self.text());
  for (std::size_t i = before; i < missing; ++i) out.append(fill.text());
  return out.take(self.text().markup);
}

Value ljust(Interpreter& in, const Value& self, const CallArgs& args) {
  return padded(in, self, args, "ljust", '<');
}
Value rjust(Interpreter& in, const Value& self, const CallArgs& args) {
  return padded(in, self, args, "rjust", '>');
}
Value center(Interpreter& in, const Value& self, const CallArgs& args) {
  return padded(in, self, args, "center", '^');
}

Value zfill(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("zfill", args, 1, 1);
  const std::int64_t width = plain.integer(0, 0);
  const auto have = static_cast<std::int64_t>(self.text().points);
  if (width <= have) return self;
  in.budget().expect(static_cast<std::size_t>(width - have));
  const bool has_sign = self.bytes().starts_with('-') || self.bytes().starts_with('+');
  TextBuilder out(in.budget());
  out.append(self.text(), 0, has_sign ? 1 : 0);
  out.append(std::string(static_cast<std::size_t>(width - have), '0'), true);
  out.append(self.text(), has_sign ? 1 : 0, self.bytes().size());
  return out.take(self.text().markup);
}

Value expand_tabs(Interpreter& in, const Value& self, const CallArgs& args) {
  const Bound bound("expandtabs", args, {"tabsize"});
  const std::int64_t size = std::min<std::int64_t>(bound.integer(0, 8), 1 << 20);
  const std::string_view bytes = self.bytes();
  in.budget().scan(bytes.size());
  TextBuilder out(in.budget());
  std::int64_t column = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t width = 0;
    const char32_t point = decode(bytes, at, width);
    if (point == '\t') {
      const std::int64_t spaces = size > 0 ? size - column % size : 0;
      in.budget().step();
      out.append(std::string(static_cast<std::size_t>(spaces), ' '), true);
      column += spaces;
    } else {
      out.append(self.text(), at, at + width);
      column = point == '\n' || point == '\r' ? 0 : column + 1;
    }
    at += width;
  }
  return out.take(self.text().markup);
}

Value format(Interpreter& in, const Value& self, const CallArgs& args) {
  return brace_format(in.budget(), self, args);
}

Value format_map(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("format_map", args, 1, 1);
  if (!args.positional[0].is(Kind::dict)) raise("TypeError", "format_map() needs a dict");
  CallArgs named;
  for (const auto& [key, value] : args.positional[0].as<Dict>().items) {
    if (key.is_string()) named.named.emplace_back(key.text().bytes, value);
  }
  return brace_format(in.budget(), self, named);
}

// All characters pass, and there is at least one.
template <bool (*test)(char32_t)>
Value all_are(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("isalpha", args, 0, 0);
  const std::string_view bytes = self.bytes();
  in.budget().scan(4 * bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t size = 0;
    if (!test(decode(bytes, at, size))) return Value::boolean(false);
    at += size;
  }
  return Value::boolean(!bytes.empty());
}

// No character has the other case, and at least one has this one.
template <bool (*wanted)(char32_t), bool (*other)(char32_t)>
Value has_case(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("islower", args, 0, 0);
  const std::string_view bytes = self.bytes();
  in.budget().scan(4 * bytes.size());
  bool found = false;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t size = 0;
    const char32_t point = decode(bytes, at, size);
    if (other(point)) return Value::boolean(false);
    found = found || wanted(point);
    at += size;
  }
  return Value::boolean(found);
}

Value is_title(Interpreter& in, const Value& self, const CallArgs& args) {
  const TextArgs plain("istitle", args, 0, 0);
  const std::string_view bytes = self.bytes();
  in.budget().scan(4 * bytes.size());
  bool inside = false;
  bool found = false;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t size = 0;
    const char32_t point = decode(bytes, at, size);
    if ((is_upper(point) && inside) || (is_lower(point) && !inside)) return Value::boolean(false);
    inside = is_cased(point);
    found = found || inside;
    at += size;
  }
  return Value::boolean(found);
}

bool is_ascii(char32_t point) { return point < 0x80; }

Value is_ascii_text(Interpreter& in, const Value& self, const CallArgs& args) {
  if (self.bytes().empty()) return Value::boolean(true);
  return all_are<is_ascii>(in, self, args);
}

Value is_printable_text(Interpreter& in, const Value& self, const CallArgs& args) {
  if (self.bytes().empty()) return Value::boolean(true);
  return all_are<is_printable>(in, self, args);
}

Value is_identifier(Interpreter& in, const Value& self, const CallArgs& args) {
  if (!self.bytes().empty() && self.bytes()[0] >= '0' && self.bytes()[0] <= '9') {
    return Value::boolean(false);
  }
  return all_are<is_word>(in, self, args);
}

const std::vector<MethodEntry> kTextShapeMethods = {
    {kText, "capitalize", change_case<to_capitalized>},
    {kText, "center", center},
    {kText, "expandtabs", expand_tabs},
    {kText, "format", format},
    {kText, "format_map", format_map},
    {kText, "isalnum", all_are<is_alnum>},
    {kText, "isalpha", all_are<is_alpha>},
    {kText, "isascii", is_ascii_text},
    {kText, "isdecimal", all_are<is_decimal>},
    {kText, "isdigit", all_are<is_digit>},
    {kText, "isidentifier", is_identifier},
    {kText, "islower", has_case<is_lower, is_upper>},
    {kText, "isnumeric", all_are<is_numeric>},
    {kText, "isprintable", is_printable_text},
    {kText, "isspace", all_are<is_space>},
    {kText, "istitle", is_title},
    {kText, "isupper", has_case<is_upper, is_lower>},
    {kText, "ljust", ljust},
    {kText, "lower", change_case<to_lower>},
    {kText, "rjust", rjust},
    {kText, "swapcase", change_case<swap_case>},
    {kText, "title", change_case<to_title>},
    {kText, "upper", change_case<to_upper>},
    {kText, "zfill", zfill},
};

}  // namespace

const MethodEntry* find_text_method(std::string_view name) {
  for (const auto* table : {&kTextSearchMethods, &kTextShapeMethods}) {
    for (const MethodEntry& entry : *table) {
      if (entry.name == name) return &entry;
    }
  }
  return nullptr;
}

}  // namespace weir::jinja
