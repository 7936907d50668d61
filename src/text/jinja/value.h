// The values of the template language: Python's types as far as templates meet them. A value is a
// small handle; text and containers are shared and never change once made, which also bounds their
// nesting. Namespaces and iterators are the only things that change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/budget.h"

namespace weir::jinja {

enum class Kind : std::uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  dict,
  view,
  range,
  generator,
  space,
  macro,
  loop,
  method,
  function,
  cycler,
  joiner,
};

/// Anything on the heap. `budget` may be null (constants of the template, values of the input).
struct Object {
  Object(Budget* owner, std::size_t bytes) : budget(owner), charged(bytes) {
    if (budget != nullptr) budget->take(charged);
  }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() {
    if (budget != nullptr) budget->give(charged);
  }
  void charge(std::size_t bytes) {
    if (budget == nullptr) return;
    budget->take(bytes);
    charged += bytes;
  }

  Budget* budget;
  std::size_t charged;
};

/// A stretch of text with one origin, up to byte `end`. Trusted text was written by the template.
struct Run {
  std::size_t end;
  bool trusted;
};

/// A str. `runs` cover the bytes in order; neighbours differ in trust; empty text has none.
struct Text : Object {
  Text(Budget* owner, std::string text, std::vector<Run> origin, bool safe);

  bool ascii() const { return points == bytes.size(); }
  bool all_trusted() const { return runs.empty() || (runs.size() == 1 && runs[0].trusted); }

  const std::string bytes;
  const std::vector<Run> runs;
  const std::size_t points;  // length in code points
  const bool markup;         // markupsafe.Markup: escapes what is added to it
};

struct Undefined;
struct Sequence;
struct Dict;
struct View;
struct RangeValue;
struct Generator;
struct Namespace;
struct Method;
struct Cycler;
struct Joiner;

class Value {
 public:
  Value() = default;  // None
  Value(Kind kind, std::shared_ptr<Object> object) : kind_(kind), object_(std::move(object)) {}

  static Value boolean(bool value) { return Value(Kind::boolean, value ? 1 : 0); }
  static Value integer(std::int64_t value) { return Value(Kind::integer, value); }
  static Value function(int id) { return Value(Kind::function, id); }
  static Value real(double value) {
    Value out;
    out.kind_ = Kind::real;
    out.real_ = value;
    return out;
  }
  /// Undefined that fails with `message` when used (a SecurityError if `security`).
  static Value undefined(std::string message, bool security = false);
  /// Trusted text without a budget: constants, and short texts that the engine itself makes.
  static Value constant(std::string text, bool markup = false);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_none() const { return kind_ == Kind::none; }
  bool is_string() const { return kind_ == Kind::string; }
  bool is_number() const { return kind_ >= Kind::boolean && kind_ <= Kind::real; }
  bool is_integral() const { return kind_ == Kind::boolean || kind_ == Kind::integer; }

  std::int64_t as_integer() const { return integer_; }  // of a boolean, integer or function
  double as_real() const { return kind_ == Kind::real ? real_ : static_cast<double>(integer_); }
  const Text& text() const { return static_cast<const Text&>(*object_); }
  std::string_view bytes() const { return text().bytes; }
  template <typename T>
  T& as() const {
    return static_cast<T&>(*object_);
  }
  const std::shared_ptr<Object>& object() const { return object_; }

 private:
  Value(Kind kind, std::int64_t value) : kind_(kind), integer_(value) {}

  Kind kind_ = Kind::none;
  union {
    std::int64_t integer_ = 0;
    double real_;
  };
  std::shared_ptr<Object> object_;
};

struct Undefined : Object {
  Undefined(std::string text, bool unsafe)
      : Object(nullptr, 0), message(std::move(text)), security(unsafe) {}
  const std::string message;
  const bool security;
};

/// A list or tuple.
struct Sequence : Object {
  Sequence(Budget* owner, std::vector<Value> values, bool named_group = false);
  const std::vector<Value> items;
  const int depth;   // of nesting, 1 for a flat one
  const bool group;  // the (grouper, list) pair of the groupby filter
};

/// Order of hashable values for the index of a dict: equal in Python means equal here.
struct KeyLess {
  bool operator()(const Value& a, const Value& b) const;
};

/// An insertion-ordered dict. Filled by `set` before it is shared, then left alone.
struct Dict : Object {
  explicit Dict(Budget* owner) : Object(owner, sizeof(Dict)) {}
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(const Value& key, const Value& value);

  std::vector<std::pair<Value, Value>> items;
  int depth = 1;

 private:
  std::size_t position(const Value& key) const;  // items.size() if absent
  std::map<Value, std::size_t, KeyLess> index_;  // only when there are many items
};

/// dict.keys(), dict.values(), dict.items().
struct View : Object {
  enum class Part { keys, values, items };
  View(Budget* owner, Value of, Part which)
      : Object(owner, sizeof(View)), dict(std::move(of)), part(which) {}
  const Value dict;
  const Part part;
};

struct RangeValue : Object {
  RangeValue(Budget* owner, std::int64_t from, std::int64_t to, std::int64_t by);
  std::int64_t at(std::size_t i) const { return start + static_cast<std::int64_t>(i) * step; }
  const std::int64_t start;
  const std::int64_t stop;
  const std::int64_t step;
  const std::size_t length;
};

/// A one-shot iterator as the lazy filters return it. Made eagerly; an error met on the way is kept
/// and raised when iteration reaches it, as the lazy original would.
struct Generator : Object {
  Generator(Budget* owner, std::vector<Value> values, std::optional<Raise> later, const char* type,
            const char* maker);
  const std::vector<Value> items;
  const std::optional<Raise> error;
  const char* const type_name;
  const char* const name;  // of the function that made it, which str() shows; may be empty
  const int depth;
  std::size_t next = 0;
};

struct Namespace : Object {
  explicit Namespace(Budget* owner) : Object(owner, sizeof(Namespace)) {}
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
  std::vector<std::pair<std::string, Value>> fields;
};

struct MethodEntry;
struct Method : Object {
  Method(Budget* owner, Value object_of, const MethodEntry& of)
      : Object(owner, sizeof(Method)), self(std::move(object_of)), entry(of) {}
  const Value self;
  const MethodEntry& entry;
};

struct Cycler : Object {
  Cycler(Budget* owner, std::vector<Value> values);
  const std::vector<Value> items;
  const int depth;
  std::size_t position = 0;
};

struct Joiner : Object {
  Joiner(Budget* owner, Value text) : Object(owner, sizeof(Joiner)), separator(std::move(text)) {}
  const Value separator;
  bool used = false;
};

/// Builds text piece by piece with the origin of each byte.
class TextBuilder {
 public:
  explicit TextBuilder(Budget& budget) : budget_(budget) {}
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;
  ~TextBuilder() { budget_.give(charged_); }

  void append(std::string_view bytes, bool trusted);
  void append(const Text& text) { append(text, 0, text.bytes.size()); }
  void append(const Text& text, std::size_t begin, std::size_t end);
  std::size_t size() const { return bytes_.size(); }

  /// The text so far, as a value; the builder is empty afterwards.
  Value take(bool markup = false);
  std::string take_bytes();
  const std::string& bytes() const { return bytes_; }
  const std::vector<Run>& runs() const { return runs_; }

 private:
  Budget& budget_;
  std::string bytes_;
  std::vector<Run> runs_;
  std::size_t charged_ = 0;
};

Value make_text(Budget& budget, std::string bytes, bool trusted, bool markup = false);
/// Part of a text, keeping its origin and markup; shares nothing unless it is the whole.
Value subtext(Budget& budget, const Value& text, std::size_t begin, std::size_t end);
Value make_list(Budget& budget, std::vector<Value> items);
Value make_tuple(Budget& budget, std::vector<Value> items);
Value make_dict(const std::shared_ptr<Dict>& dict);
Value make_range(Budget& budget, std::int64_t start, std::int64_t stop, std::int64_t step);
Value make_generator(Budget& budget, std::vector<Value> items, std::optional<Raise> error,
                     const char* type, const char* name);

/// Nesting depth of a value: 0 for scalars.
int depth_of(const Value& value);
void check_depth(const Budget& budget, int depth);

}  // namespace weir::jinja
