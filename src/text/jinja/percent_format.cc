// 'text' % values.
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
    spec.trusted = format_.text().all_trusted();
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

}  // namespace

Value percent_format(Budget& budget, const Value& format, const Value& args) {
  return Percent(budget, format, args).run();
}

}  // namespace weir::jinja
