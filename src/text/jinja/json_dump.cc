#include "text/jinja/json_dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

class Dumper {
 public:
  Dumper(Budget& budget, const JsonStyle& style) : budget_(budget), style_(style) {}

  Value run(const Value& value) {
    dump(value);
    return make_text(budget_, std::move(out_), trusted_);
  }

 private:
  void dump(const Value& value) {
    budget_.step();
    budget_.expect(out_.size());
    switch (value.kind()) {
      case Kind::none:
        out_ += "null";
        return;
      case Kind::boolean:
        out_ += value.as_integer() != 0 ? "true" : "false";
        return;
      case Kind::integer:
        out_ += std::to_string(value.as_integer());
        return;
      case Kind::real:
        out_ += number(value.as_real());
        return;
      case Kind::string:
        trusted_ = trusted_ && value.text().all_trusted();
        string(value.bytes());
        return;
      case Kind::list:
      case Kind::tuple:
        list(value.as<Sequence>());
        return;
      case Kind::dict:
        dict(value.as<Dict>());
        return;
      default:
        raise("TypeError", "Object of type {} is not JSON serializable", type_name(value));
    }
  }

  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return float_repr(value);
  }

  void newline() {
    if (!style_.indent) return;
    const std::size_t size = style_.indent->size() * static_cast<std::size_t>(depth_);
    budget_.expect(out_.size() + size);
    out_ += '\n';
    for (int i = 0; i < depth_; ++i) out_ += *style_.indent;
  }

  void list(const Sequence& sequence) {
    if (sequence.items.empty()) {
      out_ += "[]";
      return;
    }
    check_depth(budget_, ++depth_);
    out_ += '[';
    bool first = true;
    for (const Value& item : sequence.items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      newline();
      dump(item);
    }
    --depth_;
    newline();
    out_ += ']';
  }

  void dict(const Dict& dict) {
    if (dict.items.empty()) {
      out_ += "{}";
      return;
    }
    check_depth(budget_, ++depth_);
    out_ += '{';
    std::vector<const std::pair<Value, Value>*> entries;
    entries.reserve(dict.items.size());
    for (const auto& entry : dict.items) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [this](const auto* a, const auto* b) {
        return compare(budget_, CompareOp::lt, a->first, b->first);
      });
    }
    bool first = true;
    for (const auto* entry : entries) {
      if (!first) out_ += style_.item_separator;
      first = false;
      newline();
      key(entry->first);
      out_ += style_.key_separator;
      dump(entry->second);
    }
    --depth_;
    newline();
    out_ += '}';
  }

  void key(const Value& value) {
    switch (value.kind()) {
      case Kind::string:
        trusted_ = trusted_ && value.text().all_trusted();
        string(value.bytes());
        return;
      case Kind::none:
        out_ += "\"null\"";
        return;
      case Kind::boolean:
        out_ += value.as_integer() != 0 ? "\"true\"" : "\"false\"";
        return;
      case Kind::integer:
        out_ += '"' + std::to_string(value.as_integer()) + '"';
        return;
      case Kind::real:
        out_ += '"' + number(value.as_real()) + '"';
        return;
      default:
        raise("TypeError", "keys must be str, int, float, bool or None, not {}", type_name(value));
    }
  }

  void escaped(char32_t point) {
    if (point >= 0x10000) {
      const auto rest = static_cast<std::uint32_t>(point - 0x10000);
      out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    } else {
      out_ += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(point));
    }
  }

  void string(std::string_view bytes) {
    budget_.scan(bytes.size());
    out_ += '"';
    for (std::size_t at = 0; at < bytes.size();) {
      std::size_t size = 0;
      const char32_t point = decode(bytes, at, size);
      constexpr std::string_view kPlain = "\"\\\n\r\t\b\f";
      constexpr std::string_view kLetters = "\"\\nrtbf";
      const auto special =
          point < 0x80 ? kPlain.find(static_cast<char>(point)) : std::string_view::npos;
      if (special != std::string_view::npos) {
        out_ += '\\';
        out_ += kLetters[special];
      } else if (point < 0x20 || (style_.ascii && point > 0x7e)) {
        escaped(point);
      } else {
        out_ += bytes.substr(at, size);
      }
      at += size;
    }
    out_ += '"';
  }

  Budget& budget_;
  const JsonStyle& style_;
  std::string out_;
  bool trusted_ = true;
  int depth_ = 0;
};

}  // namespace

Value dump_json(Budget& budget, const Value& value, const JsonStyle& style) {
  return Dumper(budget, style).run(value);
}

}  // namespace weir::jinja
