// Filters that work on one value: text, numbers, JSON, defaults.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "text/jinja/filters.h"
#include "text/jinja/format.h"
#include "text/jinja/format_spec.h"
#include "text/jinja/json_dump.h"
#include "text/jinja/methods.h"
#include "text/jinja/number_text.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

// soft_str: text stays what it is, Markup included.
Value soft(Interpreter& in, const Value& value) { return to_text(in.budget(), value); }

Value plain(Interpreter& in, const Value& value) {
  Value text = to_text(in.budget(), value);
  if (!text.text().markup) return text;
  TextBuilder out(in.budget());
  out.append(text.text());
  return out.take();
}

Value marked(Interpreter& in, const Value& value) {
  Value text = to_text(in.budget(), value);
  if (text.text().markup) return text;
  TextBuilder out(in.budget());
  out.append(text.text());
  return out.take(true);
}

Value method(Interpreter& in, std::string_view name, const Value& self, CallArgs args = {}) {
  return find_text_method(name)->run(in, soft(in, self), args);
}

void no_arguments(std::string_view name, const CallArgs& args) {
  const Bound bound(name, args, {});
}

Value upper(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("do_upper", args);
  return method(in, "upper", value);
}
Value lower(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("do_lower", args);
  return method(in, "lower", value);
}
Value capitalize(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("do_capitalize", args);
  return method(in, "capitalize", value);
}

Value title(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("do_title", args);
  const Value text = soft(in, value);
  const std::string_view bytes = text.bytes();
  in.budget().scan(4 * bytes.size());
  std::string out;
  bool start = true;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t size = 0;
    const char32_t point = decode(bytes, at, size);
    const bool splits = point == '-' || point == '(' || point == '{' || point == '[' ||
                        point == '<' || is_space(point);
    const std::string_view letter = bytes.substr(at, size);
    if (splits) {
      out += letter;
    } else {
      out += start ? to_upper(letter) : to_lower(letter);
    }
    start = splits;
    at += size;
  }
  return make_text(in.budget(), std::move(out), text.text().all_trusted(), text.text().markup);
}

Value trim(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_trim", args, {"chars"});
  CallArgs chars;
  if (bound[0] != nullptr) chars.positional.push_back(*bound[0]);
  return method(in, "strip", value, std::move(chars));
}

Value center(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_center", args, {"width"});
  return method(in, "center", value, {{Value::integer(bound.integer(0, 80))}, {}});
}

Value replace(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_replace", args, {"old", "new", "count"}, 2);
  CallArgs to{{plain(in, *bound[0]), plain(in, *bound[1])}, {}};
  if (bound[2] != nullptr && !bound[2]->is_none()) to.positional.push_back(*bound[2]);
  return find_text_method("replace")->run(in, plain(in, value), to);
}

Value string(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("soft_str", args);
  return soft(in, value);
}

Value safe(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("do_mark_safe", args);
  return marked(in, value);
}

Value escape(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("escape", args);
  return escape_html(in.budget(), value);
}

Value force_escape(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("do_forceescape", args);
  return escape_html(in.budget(), plain(in, value));
}

Value format(Interpreter& in, const Value& value, const CallArgs& args) {
  if (!args.positional.empty() && !args.named.empty()) {
    raise("FilterArgumentError", "can't handle positional and keyword arguments at the same time");
  }
  if (args.named.empty()) {
    return percent_format(in.budget(), soft(in, value),
                          make_tuple(in.budget(), std::vector<Value>(args.positional)));
  }
  auto dict = std::make_shared<Dict>(&in.budget());
  for (const auto& [name, item] : args.named) dict->set(Value::constant(name), item);
  return percent_format(in.budget(), soft(in, value), make_dict(dict));
}

Value indent(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_indent", args, {"width", "first", "blank"});
  if (!value.is_string()) {
    return binary(in.budget(), BinaryOp::add, value, Value::constant("\n"));  // raises
  }
  const bool markup = value.text().markup;
  Value indention;
  if (bound[0] != nullptr && bound[0]->is_string()) {
    indention = *bound[0];
  } else {
    const std::int64_t width = std::max<std::int64_t>(bound.integer(0, 4), 0);
    in.budget().expect(static_cast<std::size_t>(width));
    indention = make_text(in.budget(), std::string(static_cast<std::size_t>(width), ' '), true);
  }
  const bool blank = bound.flag(2, false);
  const Value ended = binary(in.budget(), BinaryOp::add, value, Value::constant("\n", markup));
  const Value lines = find_text_method("splitlines")->run(in, ended, {});
  TextBuilder out(in.budget());
  if (bound.flag(1, false)) out.append(indention.text());
  bool head = true;
  for (const Value& line : lines.as<Sequence>().items) {
    in.budget().step();
    if (!head) {
      out.append("\n", true);
      if (blank || !line.bytes().empty()) out.append(indention.text());
    }
    head = false;
    out.append(line.text());
  }
  return out.take(markup);
}

Value truncate(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_truncate", args, {"length", "killwords", "end", "leeway"});
  const Value end = bound[2] != nullptr ? *bound[2] : Value::constant("...");
  const std::int64_t wanted = bound.integer(0, 255);
  const bool no_leeway = bound[3] == nullptr || bound[3]->is_none();
  const std::int64_t leeway = no_leeway ? 5 : bound.integer(3, 5);
  const std::int64_t end_length = length(end);
  if (wanted < end_length) {
    raise("AssertionError", "expected length >= {}, got {}", end_length, wanted);
  }
  if (leeway < 0) raise("AssertionError", "expected leeway >= 0, got {}", leeway);
  if (length(value) <= wanted || length(value) - wanted <= leeway) return value;
  Value cut = slice(in.budget(), value, Value(), Value::integer(wanted - end_length), Value());
  if (!bound.flag(1, false)) {
    const CallArgs once{{Value::constant(" "), Value::integer(1)}, {}};
    cut = method(in, "rsplit", cut, once).as<Sequence>().items[0];
  }
  return binary(in.budget(), BinaryOp::add, cut, end);
}

Value word_count(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("do_wordcount", args);
  const Value text = soft(in, value);
  const std::string_view bytes = text.bytes();
  in.budget().scan(4 * bytes.size());
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t size = 0;
    const bool word = is_word(decode(bytes, at, size));
    words += word && !inside ? 1 : 0;
    inside = word;
    at += size;
  }
  return Value::integer(words);
}

std::string url_quoted(std::string_view bytes, bool query) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain_letter = byte < 0x80 && (is_alnum(byte) || c == '_' || c == '.' || c == '-' ||
                                              c == '~' || (c == '/' && !query));
    if (plain_letter) {
      out += c;
    } else if (c == ' ' && query) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

Value url_encode(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments("do_urlencode", args);
  if (value.is_string() || !is_iterable(value)) {
    const Value text = soft(in, value);
    in.budget().scan(4 * text.bytes().size());
    return make_text(in.budget(), url_quoted(text.bytes(), false), false);
  }
  Cursor cursor(value.is(Kind::dict) ? Value(Kind::view, std::make_shared<View>(&in.budget(), value,
                                                                                View::Part::items))
                                     : value);
  TextBuilder out(in.budget());
  Value pair;
  while (cursor.next(in.budget(), pair)) {
    in.budget().step();
    const std::vector<Value> parts = collect(in.budget(), pair);
    if (parts.size() != 2) {
      raise("ValueError", "urlencode needs pairs, found {} values", parts.size());
    }
    if (out.size() > 0) out.append("&", true);
    for (const Value& part : parts) {
      const Value text = soft(in, part);
      in.budget().scan(4 * text.bytes().size());
      if (&part != parts.data()) out.append("=", true);
      out.append(url_quoted(text.bytes(), true), false);
    }
  }
  return out.take();
}

Value file_size(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_filesizeformat", args, {"binary"});
  const bool binary_units = bound.flag(0, false);
  const std::optional<double> number = to_real(value);
  if (!number) raise("ValueError", "could not convert {} to float", type_name(value));
  const double base = binary_units ? 1024 : 1000;
  if (*number == 1) return make_text(in.budget(), "1 Byte", true);
  if (*number < base) {
    return make_text(in.budget(), fmt::format("{:.0f} Bytes", std::trunc(*number)), true);
  }
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base;
  for (std::size_t i = 0;; ++i) {
    unit *= base;
    if (*number >= unit && i + 1 < kPrefixes.size()) continue;
    const char prefix = binary_units && i == 0 ? 'K' : kPrefixes[i];
    return make_text(
        in.budget(),
        format_real(base * *number / unit, 'f', 1) + " " + prefix + (binary_units ? "iB" : "B"),
        true);
  }
}

Value to_integer(Interpreter&, const Value& value, const CallArgs& args) {
  const Bound bound("do_int", args, {"default", "base"});
  Value otherwise = bound[0] != nullptr ? *bound[0] : Value::integer(0);
  if (value.is_undefined()) raise_undefined(value);
  if (value.is_integral()) return Value::integer(value.as_integer());
  if (value.is_string()) {
    const auto whole = parse_integer(value.bytes(), static_cast<int>(bound.integer(1, 10)));
    if (whole) return Value::integer(*whole);
  }
  const std::optional<double> number = to_real(value);
  if (!number || std::isnan(*number)) return otherwise;
  if (std::isinf(*number)) {
    raise("OverflowError", "cannot convert float infinity to integer");
  }
  if (std::fabs(*number) >= 9.2e18) {
    raise("OverflowError", "an integer beyond 64 bits (Weir has no larger ones)");
  }
  return Value::integer(static_cast<std::int64_t>(*number));
}

Value to_float(Interpreter&, const Value& value, const CallArgs& args) {
  const Bound bound("do_float", args, {"default"});
  if (value.is_undefined()) raise_undefined(value);
  const std::optional<double> number = to_real(value);
  if (number) return Value::real(*number);
  return bound[0] != nullptr ? *bound[0] : Value::real(0.0);
}

Value absolute(Interpreter&, const Value& value, const CallArgs& args) {
  no_arguments("abs", args);
  if (value.is_integral()) {
    return value.as_integer() < 0 ? negated(value) : Value::integer(value.as_integer());
  }
  if (value.is(Kind::real)) return Value::real(std::fabs(value.as_real()));
  raise("TypeError", "bad operand type for abs(): '{}'", type_name(value));
}

double rounded(double value, std::int64_t precision) {
  if (!std::isfinite(value) || precision > 320) return value;
  if (precision >= 0) {
    // Through decimal text: correct to the last digit, ties to even, as Python does it.
    return std::strtod(format_real(value, 'f', static_cast<int>(precision)).c_str(), nullptr);
  }
  const double scale = std::pow(10.0, static_cast<double>(std::min<std::int64_t>(-precision, 320)));
  return std::isinf(scale) ? std::copysign(0.0, value) : std::nearbyint(value / scale) * scale;
}

Value round(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_round", args, {"precision", "method"});
  const std::string_view how =
      bound[1] != nullptr && bound[1]->is_string() ? bound[1]->bytes() : "common";
  if (how != "common" && how != "ceil" && how != "floor") {
    raise("FilterArgumentError", "method must be common, ceil or floor");
  }
  if (value.is_undefined()) raise_undefined(value);
  const std::int64_t precision = bound.integer(0, 0);
  if (how == "common") {
    if (!value.is_number()) {
      raise("TypeError", "type {} doesn't define __round__ method", type_name(value));
    }
    if (value.is(Kind::real)) return Value::real(rounded(value.as_real(), precision));
    if (precision >= 0) return Value::integer(value.as_integer());
    return Value::integer(
        static_cast<std::int64_t>(rounded(static_cast<double>(value.as_integer()), precision)));
  }
  const Value scale =
      binary(in.budget(), BinaryOp::pow, Value::integer(10), Value::integer(precision));
  const Value scaled = binary(in.budget(), BinaryOp::mul, value, scale);
  if (!scaled.is_number()) {
    raise("TypeError", "must be real number, not {}", type_name(scaled));
  }
  const double whole = how == "ceil" ? std::ceil(scaled.as_real()) : std::floor(scaled.as_real());
  return binary(in.budget(), BinaryOp::div, Value::real(whole), scale);
}

Value to_json(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = bound.flag(0, false);
  if (bound[1] != nullptr && !bound[1]->is_none()) {
    style.item_separator = ",";
    if (bound[1]->is_string()) {
      style.indent = bound[1]->text().bytes;
    } else {
      const auto width = static_cast<std::size_t>(std::max<std::int64_t>(bound.integer(1, 0), 0));
      in.budget().expect(width);
      style.indent = std::string(width, ' ');
    }
  }
  if (bound[2] != nullptr && !bound[2]->is_none()) {
    const std::vector<Value> parts = collect(in.budget(), *bound[2]);
    if (parts.size() != 2 || !parts[0].is_string() || !parts[1].is_string()) {
      raise("ValueError", "separators must be a pair of texts");
    }
    style.item_separator = parts[0].text().bytes;
    style.key_separator = parts[1].text().bytes;
  }
  style.sort_keys = bound.flag(3, false);
  return dump_json(in.budget(), value, style);
}

Value otherwise(Interpreter&, const Value& value, const CallArgs& args) {
  const Bound bound("do_default", args, {"default_value", "boolean"});
  const bool replace_it = value.is_undefined() || (bound.flag(1, false) && !truthy(value));
  if (!replace_it) return value;
  return bound[0] != nullptr ? *bound[0] : Value::constant("");
}

Value attribute(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_attr", args, {"name"}, 1);
  if (!bound[0]->is_string()) raise("TypeError", "attribute name must be string");
  Value out;
  if (value.is_undefined() && bound[0]->bytes().starts_with("__")) {
    return Value::undefined(
        fmt::format("'Undefined object' has no attribute {}", quoted_short(bound[0]->bytes())));
  }
  if (value.is_undefined() || find_attribute(in.budget(), value, bound[0]->bytes(), out)) {
    return value.is_undefined() ? get_attribute(in.budget(), value, bound[0]->bytes()) : out;
  }
  return Value::undefined(fmt::format("'{} object' has no attribute {}", type_name(value),
                                      quoted_short(bound[0]->bytes())));
}

}  // namespace

const std::vector<FilterEntry> kTextFilters = {
    {"abs", absolute},
    {"attr", attribute},
    {"capitalize", capitalize},
    {"center", center},
    {"d", otherwise},
    {"default", otherwise},
    {"e", escape},
    {"escape", escape},
    {"filesizeformat", file_size},
    {"float", to_float},
    {"forceescape", force_escape},
    {"format", format},
    {"indent", indent},
    {"int", to_integer},
    {"lower", lower},
    {"replace", replace},
    {"round", round},
    {"safe", safe},
    {"string", string},
    {"title", title},
    {"tojson", to_json},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", upper},
    {"urlencode", url_encode},
    {"wordcount", word_count},
};

}  // namespace weir::jinja
