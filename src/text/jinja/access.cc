// Attributes, items and slices, as the immutable sandbox allows them: nothing that starts with two
// underscores, nothing that changes a list or dict.
#include <algorithm>
#include <array>

#include "text/jinja/interpreter.h"
#include "text/jinja/loop.h"
#include "text/jinja/methods.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

// dir(object()): present on every Python value, and unsafe.
constexpr std::array<std::string_view, 24> kUnsafe = {
    "__class__",   "__delattr__", "__dir__",           "__doc__",         "__eq__",
    "__format__",  "__ge__",      "__getattribute__",  "__getstate__",    "__gt__",
    "__hash__",    "__init__",    "__init_subclass__", "__le__",          "__lt__",
    "__ne__",      "__new__",     "__reduce__",        "__reduce_ex__",   "__repr__",
    "__setattr__", "__sizeof__",  "__str__",           "__subclasshook__"};

constexpr std::array<std::string_view, 8> kListChangers = {"append", "reverse", "insert", "sort",
                                                           "extend", "remove",  "clear",  "pop"};
constexpr std::array<std::string_view, 5> kDictChangers = {"clear", "pop", "popitem", "setdefault",
                                                           "update"};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value unsafe(const Value& object, std::string_view name) {
  return Value::undefined(fmt::format("access to attribute {} of '{}' object is unsafe.",
                                      quoted_short(name), type_name(object)),
                          true);
}

// jinja2.utils.object_type_repr
std::string object_name(const Value& object) {
  switch (object.kind()) {
    case Kind::none:
      return "None";
    case Kind::space:
    case Kind::cycler:
    case Kind::joiner:
      return fmt::format("jinja2.utils.{} object", type_name(object));
    case Kind::macro:
    case Kind::loop:
      return fmt::format("jinja2.runtime.{} object", type_name(object));
    default:
      return fmt::format("{} object", type_name(object));
  }
}

Value missing_attribute(const Value& object, std::string_view name) {
  return Value::undefined(
      fmt::format("'{}' has no attribute {}", object_name(object), quoted_short(name)));
}

std::optional<std::size_t> position(const Value& key, std::size_t size) {
  if (!key.is_integral()) return std::nullopt;
  const std::int64_t index = key.as_integer();
  const auto count = static_cast<std::int64_t>(size);
  const std::int64_t at = index < 0 ? index + count : index;
  if (at < 0 || at >= count) return std::nullopt;
  return static_cast<std::size_t>(at);
}

Value character(Budget& budget, const Value& text, std::size_t index) {
  const std::string_view bytes = text.bytes();
  if (text.text().ascii()) return subtext(budget, text, index, index + 1);
  budget.scan(bytes.size());
  const std::size_t start = offset_of(bytes, index);
  std::size_t size = 0;
  decode(bytes, start, size);
  return subtext(budget, text, start, start + size);
}

// object[key] of Python; false where it raises TypeError or LookupError.
bool subscript(Budget& budget, const Value& object, const Value& key, Value& out) {
  switch (object.kind()) {
    case Kind::undefined:
      raise_undefined(object);
    case Kind::dict: {
      if (key.is(Kind::list) || key.is(Kind::dict)) return false;
      check_hashable(budget, key);
      const Value* found = object.as<Dict>().find(key);
      if (found != nullptr) out = *found;
      return found != nullptr;
    }
    case Kind::string: {
      const auto at = position(key, object.text().points);
      if (at) out = character(budget, object, *at);
      return at.has_value();
    }
    case Kind::list:
    case Kind::tuple: {
      const auto& items = object.as<Sequence>().items;
      const auto at = position(key, items.size());
      if (at) out = items[*at];
      return at.has_value();
    }
    case Kind::range: {
      const auto& range = object.as<RangeValue>();
      const auto at = position(key, range.length);
      if (at) out = Value::integer(range.at(*at));
      return at.has_value();
    }
    default:
      return false;
  }
}

bool macro_attribute(Budget& budget, const MacroValue& macro, std::string_view name, Value& out) {
  if (name == "name") {
    out = macro.name.empty() ? Value() : Value::constant(macro.name);
  } else if (name == "arguments") {
    std::vector<Value> names;
    for (const auto& parameter : macro.node.parameters) {
      names.push_back(Value::constant(parameter.second));
    }
    out = make_tuple(budget, std::move(names));
  } else if (name == "catch_kwargs") {
    out = Value::boolean(macro.node.uses_kwargs);
  } else if (name == "catch_varargs") {
    out = Value::boolean(macro.node.uses_varargs);
  } else if (name == "caller") {
    out = Value::boolean(macro.node.uses_caller);
  } else {
    return false;
  }
  return true;
}

struct Bounds {
  std::int64_t start;
  std::int64_t step;
  std::size_t count;
};

// PySlice_AdjustIndices.
Bounds bounds(std::size_t size, const Value& start, const Value& stop, const Value& step) {
  const auto count = static_cast<std::int64_t>(size);
  const auto integer = [](const Value& value, std::int64_t otherwise) {
    if (value.is_none()) return otherwise;
    if (value.is_undefined() || !value.is_integral()) {
      raise("TypeError", "slice indices must be integers or None or have an __index__ method");
    }
    return value.as_integer();
  };
  const std::int64_t by = integer(step, 1);
  if (by == 0) raise("ValueError", "slice step cannot be zero");
  const std::int64_t low = by < 0 ? -1 : 0;
  const std::int64_t high = by < 0 ? count - 1 : count;
  const auto clamp = [&](const Value& value, std::int64_t otherwise) {
    if (value.is_none()) return otherwise;
    std::int64_t at = integer(value, 0);
    if (at < 0) at = at < -count ? -1 - count : at;  // keeps the sum below in range
    if (at < 0) at += count;
    return std::clamp(at, low, high);
  };
  const std::int64_t from = clamp(start, by < 0 ? high : low);
  const std::int64_t to = clamp(stop, by < 0 ? low : high);
  std::uint64_t items = 0;
  if (by > 0 && from < to) {
    items = (static_cast<std::uint64_t>(to - from) - 1) / static_cast<std::uint64_t>(by) + 1;
  } else if (by < 0 && from > to) {
    const std::uint64_t stride = ~static_cast<std::uint64_t>(by) + 1;
    items = (static_cast<std::uint64_t>(from - to) - 1) / stride + 1;
  }
  return {from, by, static_cast<std::size_t>(items)};
}

Value slice_text(Budget& budget, const Value& text, const Bounds& range) {
  const std::string_view bytes = text.bytes();
  const bool ascii = text.text().ascii();
  if (!ascii) budget.scan(bytes.size());
  const auto begin = static_cast<std::size_t>(std::max<std::int64_t>(range.start, 0));
  if (range.step == 1 || range.count <= 1) {
    const std::size_t from = ascii ? begin : offset_of(bytes, begin);
    const std::size_t size =
        ascii ? range.count : offset_of(bytes.substr(std::min(from, bytes.size())), range.count);
    if (range.count == 0) return make_text(budget, {}, true, text.text().markup);
    return subtext(budget, text, from, from + size);
  }
  std::vector<std::size_t> offsets;  // of code points, only when they differ from indexes
  if (!ascii) {
    budget.take(text.text().points * sizeof(std::size_t));
    budget.give(text.text().points * sizeof(std::size_t));
    offsets.reserve(text.text().points);
    for (std::size_t at = 0; at < bytes.size();) {
      offsets.push_back(at);
      std::size_t size = 0;
      decode(bytes, at, size);
      at += size;
    }
  }
  TextBuilder out(budget);
  std::int64_t index = range.start;
  for (std::size_t i = 0; i < range.count; ++i, index += range.step) {
    if (i % 8 == 0) budget.step();
    const auto at = static_cast<std::size_t>(index);
    const std::size_t from = ascii ? at : offsets[at];
    std::size_t size = 0;
    decode(bytes, from, size);
    out.append(text.text(), from, from + size);
    if (i + 1 == range.count) break;  // the next index may not fit in 64 bits
  }
  return out.take(text.text().markup);
}

}  // namespace

bool find_attribute(Budget& budget, const Value& object, std::string_view name, Value& out) {
  const bool host_attribute =
      name.starts_with("__") &&
      (among(kUnsafe, name) || (object.is(Kind::function) && name.ends_with("__")));
  if (host_attribute) {
    out = unsafe(object, name);
    return true;
  }
  switch (object.kind()) {
    case Kind::undefined:
      raise_undefined(object);
    case Kind::space: {
      const auto& space = object.as<Namespace>();
      budget.step(space.fields.size() / 32);
      const Value* found = space.find(name);
      if (found != nullptr) out = *found;
      return found != nullptr;
    }
    case Kind::loop: {
      bool found = false;
      out = object.as<Loop>().attribute(name, found);
      if (found) return true;
      break;
    }
    case Kind::macro:
      return macro_attribute(budget, object.as<MacroValue>(), name, out);
    case Kind::cycler:
      if (name == "current") {
        const auto& cycler = object.as<Cycler>();
        out = cycler.items[cycler.position];
        return true;
      }
      break;
    case Kind::list:
      if (among(kListChangers, name)) {
        // clear and pop are not on the sandbox's list, yet they change the list: refused as well.
        out = unsafe(object, name);
        return true;
      }
      break;
    case Kind::dict:
      if (among(kDictChangers, name)) {
        out = unsafe(object, name);
        return true;
      }
      break;
    case Kind::tuple:
      if (object.as<Sequence>().group && (name == "grouper" || name == "list")) {
        out = object.as<Sequence>().items[name == "grouper" ? 0 : 1];
        return true;
      }
      break;
    default:
      break;
  }
  const MethodEntry* method = find_method(object.kind(), name);
  if (method == nullptr) return false;
  out = Value(Kind::method, std::make_shared<Method>(&budget, object, *method));
  return true;
}

Value get_attribute(Budget& budget, const Value& object, std::string_view name) {
  Value out;
  if (find_attribute(budget, object, name, out)) return out;
  if (object.is(Kind::dict)) {
    const Value* found = object.as<Dict>().find(name);
    if (found != nullptr) return *found;
  }
  return missing_attribute(object, name);
}

Value get_item(Budget& budget, const Value& object, const Value& key) {
  Value out;
  if (subscript(budget, object, key, out)) return out;
  if (key.is_string()) {
    if (find_attribute(budget, object, key.bytes(), out)) return out;
    return missing_attribute(object, key.bytes());
  }
  return Value::undefined(fmt::format(
      "{} has no element {}", object_name(object),
      key.is_number() || key.is_none() ? repr(budget, key) : std::string(type_name(key))));
}

Value slice(Budget& budget, const Value& object, const Value& start, const Value& stop,
            const Value& step) {
  switch (object.kind()) {
    case Kind::undefined:
      raise_undefined(object);
    case Kind::string:
      return slice_text(budget, object, bounds(object.text().points, start, stop, step));
    case Kind::list:
    case Kind::tuple: {
      const auto& items = object.as<Sequence>().items;
      const Bounds range = bounds(items.size(), start, stop, step);
      budget.step(range.count / 8);
      budget.take(range.count * sizeof(Value));
      budget.give(range.count * sizeof(Value));
      std::vector<Value> out;
      out.reserve(range.count);
      std::int64_t index = range.start;
      for (std::size_t i = 0; i < range.count; ++i) {
        out.push_back(items[static_cast<std::size_t>(index)]);
        if (i + 1 < range.count) index += range.step;
      }
      return object.is(Kind::list) ? make_list(budget, std::move(out))
                                   : make_tuple(budget, std::move(out));
    }
    case Kind::range: {
      const auto& range = object.as<RangeValue>();
      const Bounds part = bounds(range.length, start, stop, step);
      std::int64_t by = 0;
      if (__builtin_mul_overflow(range.step, part.step, &by)) {
        raise("OverflowError", "range step does not fit in 64 bits");
      }
      const std::int64_t from = range.start + part.start * range.step;
      const std::int64_t to = from + static_cast<std::int64_t>(part.count) * by;
      return make_range(budget, from, to, by);
    }
    case Kind::dict:
      raise("TypeError", "unhashable type: 'slice'");
    default:
      raise("TypeError", "'{}' object is not subscriptable", type_name(object));
  }
}

}  // namespace weir::jinja
