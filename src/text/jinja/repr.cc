#include "text/jinja/repr.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "text/jinja/ast.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/loop.h"
#include "text/jinja/methods.h"
#include "text/jinja/ops.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

constexpr std::size_t kShort = 100;

class Printer {
 public:
  explicit Printer(Budget& budget) : budget_(budget) {}

  void print(const Value& value, std::string& out) {
    budget_.step();
    budget_.expect(out.size());
    switch (value.kind()) {
      case Kind::undefined:
        out += "Undefined";
        return;
      case Kind::none:
        out += "None";
        return;
      case Kind::boolean:
        out += value.as_integer() != 0 ? "True" : "False";
        return;
      case Kind::integer:
        out += std::to_string(value.as_integer());
        return;
      case Kind::real:
        out += float_repr(value.as_real());
        return;
      case Kind::string:
        budget_.scan(value.bytes().size());
        if (value.text().markup) out += "Markup(";
        out += quoted(value.bytes());
        if (value.text().markup) out += ')';
        return;
      default:
        nested(value, out);
    }
  }

 private:
  void nested(const Value& value, std::string& out) {
    check_depth(budget_, ++depth_);
    switch (value.kind()) {
      case Kind::list:
        items("[", value.as<Sequence>().items, "]", out);
        break;
      case Kind::tuple: {
        const auto& values = value.as<Sequence>().items;
        items("(", values, values.size() == 1 ? ",)" : ")", out);
        break;
      }
      case Kind::dict:
        dict(value.as<Dict>(), out);
        break;
      case Kind::view:
        view(value.as<View>(), out);
        break;
      case Kind::space:
        space(value.as<Namespace>(), out);
        break;
      default:
        opaque(value, out);
    }
    --depth_;
  }

  void items(std::string_view open, const std::vector<Value>& values, std::string_view close,
             std::string& out) {
    out += open;
    bool first = true;
    for (const Value& item : values) {
      if (!first) out += ", ";
      first = false;
      print(item, out);
    }
    out += close;
  }

  void dict(const Dict& dict, std::string& out) {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : dict.items) {
      if (!first) out += ", ";
      first = false;
      print(key, out);
      out += ": ";
      print(item, out);
    }
    out += '}';
  }

  void view(const View& view, std::string& out) {
    constexpr std::string_view kNames[] = {"dict_keys", "dict_values", "dict_items"};
    out += kNames[static_cast<int>(view.part)];
    out += "([";
    bool first = true;
    for (const auto& [key, item] : view.dict.as<Dict>().items) {
      if (!first) out += ", ";
      first = false;
      if (view.part == View::Part::items) out += '(';
      if (view.part != View::Part::values) print(key, out);
      if (view.part == View::Part::items) out += ", ";
      if (view.part != View::Part::keys) print(item, out);
      if (view.part == View::Part::items) out += ')';
    }
    out += "])";
  }

  void space(const Namespace& space, std::string& out) {
    out += "<Namespace {";
    bool first = true;
    for (const auto& [key, item] : space.fields) {
      if (!first) out += ", ";
      first = false;
      out += quoted(key);
      out += ": ";
      print(item, out);
    }
    out += "}>";
  }

  void opaque(const Value& value, std::string& out) {
    switch (value.kind()) {
      case Kind::range: {
        const auto& range = value.as<RangeValue>();
        out += fmt::format("range({}, {}", range.start, range.stop);
        if (range.step != 1) out += fmt::format(", {}", range.step);
        out += ')';
        return;
      }
      case Kind::macro: {
        const std::string& name = value.as<MacroValue>().name;
        out += name.empty() ? "<Macro anonymous>" : "<Macro " + quoted(name) + ">";
        return;
      }
      case Kind::loop: {
        auto& loop = value.as<Loop>();
        out += fmt::format("<LoopContext {}/{}>", loop.index0() + 1, loop.length());
        return;
      }
      case Kind::method:
        // The reference prints an address too, which would differ from run to run.
        out += fmt::format("<built-in method {} of {} object>", value.as<Method>().entry.name,
                           type_name(value.as<Method>().self));
        return;
      case Kind::generator: {
        const auto& generator = value.as<Generator>();
        out += fmt::format("<{} object{}{}>", generator.type_name,
                           *generator.name == '\0' ? "" : " ", generator.name);
        return;
      }
      default:
        out += fmt::format("<{} object>", type_name(value));
    }
  }

  Budget& budget_;
  int depth_ = 0;
};

// Digits and decimal exponent of the shortest text that reads back as `value` (> 0).
std::pair<std::string, int> shortest_digits(double value) {
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t mark = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, mark)) {
    if (c != '.') digits += c;
  }
  std::size_t start = mark + 1;
  if (text[start] == '+') ++start;
  int exponent = 0;
  std::from_chars(text.data() + start, text.data() + text.size(), exponent);
  return {digits, exponent};
}

}  // namespace

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string out = std::signbit(value) ? "-" : "";
  if (value == 0) return out + "0.0";
  auto [digits, exponent] = shortest_digits(std::fabs(value));
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) {
    return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  }
  if (count <= exponent + 1) {
    return out + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  }
  const auto whole = static_cast<std::size_t>(exponent + 1);
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string quoted(std::string_view bytes) {
  const bool single = bytes.find('\'') != std::string_view::npos;
  const bool both = single && bytes.find('"') != std::string_view::npos;
  const char quote = single && !both ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t offset = 0; offset < bytes.size();) {
    std::size_t size = 0;
    const char32_t point = decode(bytes, offset, size);
    if (point == static_cast<unsigned char>(quote) || point == '\\') {
      out += '\\';
      out += static_cast<char>(point);
    } else if (point == '\n') {
      out += "\\n";
    } else if (point == '\r') {
      out += "\\r";
    } else if (point == '\t') {
      out += "\\t";
    } else if (is_printable(point)) {
      out += bytes.substr(offset, size);
    } else if (point < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<std::uint32_t>(point));
    } else if (point < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(point));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<std::uint32_t>(point));
    }
    offset += size;
  }
  out += quote;
  return out;
}

std::string quoted_short(std::string_view bytes) {
  const std::size_t end = offset_of(bytes.substr(0, 4 * kShort), kShort);
  if (end >= bytes.size()) return quoted(bytes);
  return quoted(bytes.substr(0, end)) + "...";
}

std::string repr(Budget& budget, const Value& value) {
  std::string out;
  Printer(budget).print(value, out);
  return out;
}

Value to_text(Budget& budget, const Value& value) {
  switch (value.kind()) {
    case Kind::string:
      return value;
    case Kind::undefined:
      return Value::constant("");
    case Kind::none:
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
      return make_text(budget, repr(budget, value), true);
    default:
      return make_text(budget, repr(budget, value), false);
  }
}

}  // namespace weir::jinja
