// + - * / // % ** on numbers, text and lists, with Python's rules for signs and types.
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "text/jinja/format.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"

namespace weir::jinja {
namespace {

constexpr const char* kSigns[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

[[noreturn]] void overflow() {
  raise("OverflowError", "an integer beyond 64 bits (Weir has no larger ones)");
}

template <typename T>
Value integer_or_overflow(const std::optional<T>& value) {
  if (!value) overflow();
  return Value::integer(*value);
}

Value integer_power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) {
      raise("ZeroDivisionError", "0.0 cannot be raised to a negative power");
    }
    return Value::real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  std::optional<std::int64_t> result = 1;
  std::optional<std::int64_t> square = base;
  while (exponent > 0) {
    if (!square) overflow();
    if ((exponent & 1) != 0) {
      result = checked_mul(*result, *square);
      if (!result) overflow();
    }
    exponent >>= 1;
    if (exponent > 0) square = checked_mul(*square, *square);
  }
  return Value::integer(*result);
}

Value integers(BinaryOp op, std::int64_t a, std::int64_t b) {
  switch (op) {
    case BinaryOp::add:
      return integer_or_overflow(checked_add(a, b));
    case BinaryOp::sub:
      return integer_or_overflow(checked_sub(a, b));
    case BinaryOp::mul:
      return integer_or_overflow(checked_mul(a, b));
    case BinaryOp::div:
      if (b == 0) raise("ZeroDivisionError", "division by zero");
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    case BinaryOp::floordiv: {
      if (b == 0) raise("ZeroDivisionError", "integer division or modulo by zero");
      if (b == -1) return integer_or_overflow(checked_sub<std::int64_t>(0, a));
      const std::int64_t quotient = a / b;
      return Value::integer(a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient);
    }
    case BinaryOp::mod: {
      if (b == 0) raise("ZeroDivisionError", "integer modulo by zero");
      if (b == -1) return Value::integer(0);
      const std::int64_t rest = a % b;
      return Value::integer(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
    }
    case BinaryOp::pow:
      return integer_power(a, b);
  }
  return {};
}

double real_modulo(double a, double b) {
  if (b == 0) raise("ZeroDivisionError", "float modulo");
  double rest = std::fmod(a, b);
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) rest += b;
  } else {
    rest = std::copysign(0.0, b);
  }
  return rest;
}

double real_floor_division(double a, double b) {
  if (b == 0) raise("ZeroDivisionError", "float floor division by zero");
  const double rest = real_modulo(a, b);
  const double quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

Value reals(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::add:
      return Value::real(a + b);
    case BinaryOp::sub:
      return Value::real(a - b);
    case BinaryOp::mul:
      return Value::real(a * b);
    case BinaryOp::div:
      if (b == 0) raise("ZeroDivisionError", "float division by zero");
      return Value::real(a / b);
    case BinaryOp::floordiv:
      return Value::real(real_floor_division(a, b));
    case BinaryOp::mod:
      return Value::real(real_modulo(a, b));
    case BinaryOp::pow: {
      if (a == 0 && b < 0) {
        raise("ZeroDivisionError", "0.0 cannot be raised to a negative power");
      }
      const double result = std::pow(a, b);
      if (std::isnan(result) && !std::isnan(a) && !std::isnan(b)) {
        raise("ValueError", "a complex result (Weir has no complex numbers)");
      }
      if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) {
        raise("OverflowError", "(34, 'Numerical result out of range')");
      }
      return Value::real(result);
    }
  }
  return {};
}

Value repeated(Budget& budget, const Value& value, std::int64_t times) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  if (value.is_string()) {
    const auto total = checked_mul(value.bytes().size(), count);
    budget.expect(total.value_or(std::numeric_limits<std::size_t>::max()));
    TextBuilder out(budget);
    if (*total > 0) {
      for (std::size_t i = 0; i < count; ++i) {
        if (i % 8 == 0) budget.step();
        out.append(value.text());
      }
    }
    return out.take(value.text().markup);
  }
  const auto& items = value.as<Sequence>().items;
  const auto total = checked_mul(items.size() * sizeof(Value), count);
  budget.expect(total.value_or(std::numeric_limits<std::size_t>::max()));
  budget.take(*total);
  budget.give(*total);
  std::vector<Value> out;
  out.reserve(items.size() * count);
  if (!items.empty()) {
    for (std::size_t i = 0; i < count; ++i) out.insert(out.end(), items.begin(), items.end());
  }
  return value.is(Kind::list) ? make_list(budget, std::move(out))
                              : make_tuple(budget, std::move(out));
}

Value concatenated(Budget& budget, const Value& a, const Value& b) {
  if (!a.is_string()) {
    const auto& x = a.as<Sequence>().items;
    const auto& y = b.as<Sequence>().items;
    const std::size_t total = (x.size() + y.size()) * sizeof(Value);
    budget.step((x.size() + y.size()) / 8);
    budget.take(total);
    budget.give(total);
    std::vector<Value> out;
    out.reserve(x.size() + y.size());
    out.insert(out.end(), x.begin(), x.end());
    out.insert(out.end(), y.begin(), y.end());
    return a.is(Kind::list) ? make_list(budget, std::move(out))
                            : make_tuple(budget, std::move(out));
  }
  const bool markup = a.text().markup || b.text().markup;
  TextBuilder out(budget);
  out.append((markup ? escape_html(budget, a) : a).text());
  out.append((markup ? escape_html(budget, b) : b).text());
  return out.take(markup);
}

[[noreturn]] void unsupported(BinaryOp op, const Value& a, const Value& b) {
  if (op == BinaryOp::add && a.is_string()) {
    raise("TypeError", "can only concatenate str (not \"{}\") to str", type_name(b));
  }
  if (op == BinaryOp::add && (a.is(Kind::list) || a.is(Kind::tuple))) {
    raise("TypeError", "can only concatenate {} (not \"{}\") to {}", type_name(a), type_name(b),
          type_name(a));
  }
  if (op == BinaryOp::mul) {
    for (const auto& [sequence, other] : {std::pair(a, b), std::pair(b, a)}) {
      if (sequence.is_string() || sequence.is(Kind::list) || sequence.is(Kind::tuple)) {
        raise("TypeError", "can't multiply sequence by non-int of type '{}'", type_name(other));
      }
    }
  }
  raise("TypeError", "unsupported operand type(s) for {}: '{}' and '{}'",
        kSigns[static_cast<int>(op)], type_name(a), type_name(b));
}

}  // namespace

Value binary(Budget& budget, BinaryOp op, const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return integers(op, a.as_integer(), b.as_integer());
  if (a.is_number() && b.is_number()) return reals(op, a.as_real(), b.as_real());
  if (a.is_string() && op == BinaryOp::mod) return percent_format(budget, a, b);
  if (a.is_undefined()) raise_undefined(a);
  if (b.is_undefined()) raise_undefined(b);
  const auto is_sequence = [](const Value& value) {
    return value.is_string() || value.is(Kind::list) || value.is(Kind::tuple);
  };
  if (op == BinaryOp::add && a.kind() == b.kind() && is_sequence(a)) {
    return concatenated(budget, a, b);
  }
  if (op == BinaryOp::mul && is_sequence(a) && b.is_integral()) {
    return repeated(budget, a, b.as_integer());
  }
  if (op == BinaryOp::mul && a.is_integral() && is_sequence(b)) {
    return repeated(budget, b, a.as_integer());
  }
  unsupported(op, a, b);
}

Value negated(const Value& value) {
  if (value.is_undefined()) raise_undefined(value);
  if (value.is_integral()) {
    return integer_or_overflow(checked_sub<std::int64_t>(0, value.as_integer()));
  }
  if (value.is(Kind::real)) return Value::real(-value.as_real());
  raise("TypeError", "bad operand type for unary -: '{}'", type_name(value));
}

Value plus(const Value& value) {
  if (value.is_undefined()) raise_undefined(value);
  if (value.is_integral()) return Value::integer(value.as_integer());
  if (value.is(Kind::real)) return value;
  raise("TypeError", "bad operand type for unary +: '{}'", type_name(value));
}

std::int64_t index_of(const Value& value, std::string_view what) {
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is_integral()) {
    raise("TypeError", "{}: '{}' object cannot be interpreted as an integer", what,
          type_name(value));
  }
  return value.as_integer();
}

Value escape_html(Budget& budget, const Value& value) {
  const Value text = to_text(budget, value);
  if (value.is_string() && value.text().markup) return value;
  const std::string_view bytes = text.bytes();
  budget.scan(bytes.size());
  TextBuilder out(budget);
  std::size_t done = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string_view escaped;
    switch (bytes[at]) {
      case '&':
        escaped = "&amp;";
        break;
      case '<':
        escaped = "&lt;";
        break;
      case '>':
        escaped = "&gt;";
        break;
      case '\'':
        escaped = "&#39;";
        break;
      case '"':
        escaped = "&#34;";
        break;
      default:
        continue;
    }
    out.append(text.text(), done, at);
    out.append(escaped, false);
    done = at + 1;
  }
  out.append(text.text(), done, bytes.size());
  return out.take(true);
}

}  // namespace weir::jinja
