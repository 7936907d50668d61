// Python's operators on values: truth, comparison, membership, arithmetic, attribute and item
// access, slices, iteration. Failures raise what Python would raise.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace weir::jinja {

enum class BinaryOp : std::uint8_t { add, sub, mul, div, floordiv, mod, pow };
enum class CompareOp : std::uint8_t { eq, ne, lt, le, gt, ge, in, not_in };

/// type(value).__name__
std::string_view type_name(const Value& value);

bool truthy(const Value& value);
std::int64_t length(const Value& value);
bool has_length(const Value& value);

bool equal(Budget& budget, const Value& a, const Value& b);
bool compare(Budget& budget, CompareOp op, const Value& a, const Value& b);
bool contains(Budget& budget, const Value& container, const Value& item);

Value binary(Budget& budget, BinaryOp op, const Value& a, const Value& b);
Value negated(const Value& value);
Value plus(const Value& value);

/// Raises TypeError unless the value may be a key of a dict; charges what comparing it costs.
void check_hashable(Budget& budget, const Value& key);

/// environment.getattr and environment.getitem of the sandbox.
Value get_attribute(Budget& budget, const Value& object, std::string_view name);
Value get_item(Budget& budget, const Value& object, const Value& key);
/// object[start:stop:step]; none stands for a part left out.
Value slice(Budget& budget, const Value& object, const Value& start, const Value& stop,
            const Value& step);

/// The attribute alone, without falling back to an item; false if there is none.
bool find_attribute(Budget& budget, const Value& object, std::string_view name, Value& out);

/// Calling, adding to… an undefined value.
[[noreturn]] void raise_undefined(const Value& undefined);
[[noreturn]] void raise_not_iterable(const Value& value);

/// An int from a value (bool included), or TypeError.
std::int64_t index_of(const Value& value, std::string_view what);

/// markupsafe.escape of text: trust is kept, as escaping inserts nothing that could be a token.
Value escape_html(Budget& budget, const Value& value);

/// Python's iter() and next(): over text by code point, dict by key, and so on.
class Cursor {
 public:
  Cursor() = default;
  explicit Cursor(Value value);  // TypeError if not iterable
  /// False at the end.
  bool next(Budget& budget, Value& out);

 private:
  Value value_ = Value::undefined({});
  std::size_t at_ = 0;
};

bool is_iterable(const Value& value);

/// A growing list of values that is paid for while it grows.
class Items {
 public:
  explicit Items(Budget& budget) : budget_(budget) {}
  Items(const Items&) = delete;
  Items& operator=(const Items&) = delete;
  ~Items() { budget_.give(charged_); }
  void push(Value value);
  std::size_t size() const { return items_.size(); }
  std::vector<Value> take();

 private:
  Budget& budget_;
  std::size_t charged_ = 0;
  std::vector<Value> items_;
};

/// All items of an iterable.
std::vector<Value> collect(Budget& budget, const Value& iterable);

}  // namespace weir::jinja
