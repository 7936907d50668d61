// Truth, length, comparison, iteration. Arithmetic is in arithmetic.cc, access in access.cc.
#include "text/jinja/ops.h"

#include <cmath>
#include <cstring>

#include "text/jinja/filters.h"
#include "text/jinja/loop.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

constexpr std::size_t kNoLength = ~std::size_t{0};

std::size_t length_or_none(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return 0;
    case Kind::string:
      return value.text().points;
    case Kind::list:
    case Kind::tuple:
      return value.as<Sequence>().items.size();
    case Kind::dict:
      return value.as<Dict>().items.size();
    case Kind::view:
      return value.as<View>().dict.as<Dict>().items.size();
    case Kind::range:
      return value.as<RangeValue>().length;
    case Kind::loop:
      return static_cast<std::size_t>(value.as<Loop>().length());
    default:
      return kNoLength;
  }
}

bool equal_items(Budget& budget, const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!equal(budget, a[i], b[i])) return false;
  }
  return true;
}

bool equal_dicts(Budget& budget, const Dict& a, const Dict& b) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, value] : a.items) {
    const Value* other = b.find(key);
    if (other == nullptr || !equal(budget, value, *other)) return false;
  }
  return true;
}

bool equal_ranges(const RangeValue& a, const RangeValue& b) {
  if (a.length != b.length) return false;
  if (a.length == 0) return true;
  return a.start == b.start && (a.length == 1 || a.step == b.step);
}

const char* sign_of(CompareOp op) {
  switch (op) {
    case CompareOp::lt:
      return "<";
    case CompareOp::le:
      return "<=";
    case CompareOp::gt:
      return ">";
    default:
      return ">=";
  }
}

template <typename T>
bool ordered(CompareOp op, const T& a, const T& b) {
  switch (op) {
    case CompareOp::lt:
      return a < b;
    case CompareOp::le:
      return a <= b;
    case CompareOp::gt:
      return a > b;
    default:
      return a >= b;
  }
}

bool order(Budget& budget, CompareOp op, const Value& a, const Value& b) {
  budget.step();
  if (a.is_undefined()) raise_undefined(a);
  if (b.is_undefined()) raise_undefined(b);
  if (a.is_integral() && b.is_integral()) return ordered(op, a.as_integer(), b.as_integer());
  if (a.is_number() && b.is_number()) return ordered(op, a.as_real(), b.as_real());
  if (a.is_string() && b.is_string()) {
    budget.copy(std::min(a.bytes().size(), b.bytes().size()));
    return ordered(op, a.bytes(), b.bytes());  // UTF-8 sorts by code point
  }
  if (a.kind() == b.kind() && (a.is(Kind::list) || a.is(Kind::tuple))) {
    const auto& x = a.as<Sequence>().items;
    const auto& y = b.as<Sequence>().items;
    for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(budget, x[i], y[i])) return order(budget, op, x[i], y[i]);
    }
    return ordered(op, x.size(), y.size());
  }
  raise("TypeError", "'{}' not supported between instances of '{}' and '{}'", sign_of(op),
        type_name(a), type_name(b));
}

}  // namespace

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::string:
      return value.text().markup ? "Markup" : "str";
    case Kind::list:
      return "list";
    case Kind::tuple:
      return value.as<Sequence>().group ? "_GroupTuple" : "tuple";
    case Kind::dict:
      return "dict";
    case Kind::view: {
      constexpr std::string_view kNames[] = {"dict_keys", "dict_values", "dict_items"};
      return kNames[static_cast<int>(value.as<View>().part)];
    }
    case Kind::range:
      return "range";
    case Kind::generator:
      return value.as<Generator>().type_name;
    case Kind::space:
      return "Namespace";
    case Kind::macro:
      return "Macro";
    case Kind::loop:
      return "LoopContext";
    case Kind::method:
      return "builtin_function_or_method";
    case Kind::function:
      return functions()[static_cast<std::size_t>(value.as_integer())].type;
    case Kind::cycler:
      return "Cycler";
    case Kind::joiner:
      return "Joiner";
  }
  return "object";
}

bool truthy(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
    case Kind::integer:
      return value.as_integer() != 0;
    case Kind::real:
      return value.as_real() != 0;
    default: {
      const std::size_t size = length_or_none(value);
      return size != 0;
    }
  }
}

bool has_length(const Value& value) { return length_or_none(value) != kNoLength; }

std::int64_t length(const Value& value) {
  const std::size_t size = length_or_none(value);
  if (size == kNoLength) raise("TypeError", "object of type '{}' has no len()", type_name(value));
  return static_cast<std::int64_t>(size);
}

bool equal(Budget& budget, const Value& a, const Value& b) {
  budget.step();
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.as_integer() == b.as_integer();
    return a.as_real() == b.as_real();
  }
  if (a.kind() != b.kind()) return false;
  if (a.object() != nullptr && a.object() == b.object() && !a.is(Kind::list) &&
      !a.is(Kind::tuple) && !a.is(Kind::dict)) {
    return true;
  }
  switch (a.kind()) {
    case Kind::undefined:
    case Kind::none:
      return true;
    case Kind::string:
      budget.copy(std::min(a.bytes().size(), b.bytes().size()));
      return a.bytes() == b.bytes();
    case Kind::list:
    case Kind::tuple:
      return equal_items(budget, a.as<Sequence>().items, b.as<Sequence>().items);
    case Kind::dict:
      return equal_dicts(budget, a.as<Dict>(), b.as<Dict>());
    case Kind::range:
      return equal_ranges(a.as<RangeValue>(), b.as<RangeValue>());
    case Kind::function:
      return a.as_integer() == b.as_integer();
    default:
      return false;
  }
}

bool compare(Budget& budget, CompareOp op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOp::eq:
      return equal(budget, a, b);
    case CompareOp::ne:
      return !equal(budget, a, b);
    case CompareOp::in:
      return contains(budget, b, a);
    case CompareOp::not_in:
      return !contains(budget, b, a);
    default:
      return order(budget, op, a, b);
  }
}

bool contains(Budget& budget, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::string: {
      if (!item.is_string()) {
        raise("TypeError", "'in <string>' requires string as left operand, not {}",
              type_name(item));
      }
      const auto& text = container.bytes();
      const auto& part = item.bytes();
      budget.scan(text.size());
      // memmem is linear; std::string::find is not.
      return memmem(text.data(), text.size(), part.data(), part.size()) != nullptr || part.empty();
    }
    case Kind::dict:
      check_hashable(budget, item);
      return container.as<Dict>().find(item) != nullptr;
    case Kind::view:
      if (container.as<View>().part == View::Part::keys) {
        check_hashable(budget, item);
        return container.as<View>().dict.as<Dict>().find(item) != nullptr;
      }
      break;
    case Kind::range:
      if (item.is_integral()) {
        const auto& range = container.as<RangeValue>();
        const std::int64_t value = item.as_integer();
        const bool inside = range.step > 0 ? value >= range.start && value < range.stop
                                           : value <= range.start && value > range.stop;
        return inside && (value - range.start) % range.step == 0;
      }
      break;
    default:
      break;
  }
  if (!is_iterable(container)) {
    raise("TypeError", "argument of type '{}' is not iterable", type_name(container));
  }
  Cursor cursor(container);
  Value next;
  while (cursor.next(budget, next)) {
    if (equal(budget, next, item)) return true;
  }
  return false;
}

void check_hashable(Budget& budget, const Value& key) {
  switch (key.kind()) {
    case Kind::string:
      budget.scan(key.bytes().size());
      return;
    case Kind::list:
    case Kind::dict:
    case Kind::view:
      raise("TypeError", "unhashable type: '{}'", type_name(key));
    case Kind::tuple:
      for (const Value& item : key.as<Sequence>().items) {
        budget.step(8);
        check_hashable(budget, item);
      }
      return;
    default:
      return;
  }
}

void raise_undefined(const Value& undefined) {
  const auto& detail = undefined.as<Undefined>();
  throw Raise{detail.security ? "SecurityError" : "UndefinedError", detail.message};
}

void raise_not_iterable(const Value& value) {
  raise("TypeError", "'{}' object is not iterable", type_name(value));
}

bool is_iterable(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::dict:
    case Kind::view:
    case Kind::range:
    case Kind::generator:
    case Kind::loop:
      return true;
    default:
      return false;
  }
}

Cursor::Cursor(Value value) : value_(std::move(value)) {
  if (!is_iterable(value_)) raise_not_iterable(value_);
}

bool Cursor::next(Budget& budget, Value& out) {
  switch (value_.kind()) {
    case Kind::string: {
      const std::string_view bytes = value_.bytes();
      if (at_ >= bytes.size()) return false;
      std::size_t size = 0;
      decode(bytes, at_, size);
      out = subtext(budget, value_, at_, at_ + size);
      at_ += size;
      return true;
    }
    case Kind::list:
    case Kind::tuple: {
      const auto& items = value_.as<Sequence>().items;
      if (at_ >= items.size()) return false;
      out = items[at_++];
      return true;
    }
    case Kind::dict: {
      const auto& items = value_.as<Dict>().items;
      if (at_ >= items.size()) return false;
      out = items[at_++].first;
      return true;
    }
    case Kind::view: {
      const auto& view = value_.as<View>();
      const auto& items = view.dict.as<Dict>().items;
      if (at_ >= items.size()) return false;
      const auto& [key, value] = items[at_++];
      out = view.part == View::Part::keys     ? key
            : view.part == View::Part::values ? value
                                              : make_tuple(budget, {key, value});
      return true;
    }
    case Kind::range: {
      const auto& range = value_.as<RangeValue>();
      if (at_ >= range.length) return false;
      out = Value::integer(range.at(at_++));
      return true;
    }
    case Kind::generator: {
      auto& generator = value_.as<Generator>();
      if (generator.next < generator.items.size()) {
        out = generator.items[generator.next++];
        return true;
      }
      if (generator.error && generator.next++ == generator.items.size()) throw *generator.error;
      return false;
    }
    case Kind::loop:
      budget.step();
      if (!value_.as<Loop>().advance(out)) return false;
      out = make_tuple(budget, {out, value_});
      return true;
    default:
      return false;
  }
}

void Items::push(Value value) {
  if (items_.size() == items_.capacity()) {
    const std::size_t raised = items_.empty() ? 8 : items_.size() + items_.size() / 2;
    budget_.take((raised - items_.capacity()) * sizeof(Value));
    charged_ += (raised - items_.capacity()) * sizeof(Value);
    items_.reserve(raised);
  }
  items_.push_back(std::move(value));
}

std::vector<Value> Items::take() {
  budget_.give(charged_);
  charged_ = 0;
  return std::exchange(items_, {});
}

std::vector<Value> collect(Budget& budget, const Value& iterable) {
  Cursor cursor(iterable);
  Items items(budget);
  Value item;
  while (cursor.next(budget, item)) {
    budget.step();
    items.push(item);
  }
  return items.take();
}

}  // namespace weir::jinja
