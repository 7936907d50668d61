#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/loop.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

constexpr std::size_t kIndexFrom = 8;  // a linear search is faster below
constexpr std::size_t kTextOverhead = sizeof(Text) + 48;

std::size_t length_of_range(std::int64_t start, std::int64_t stop, std::int64_t step) {
  const auto distance = [](std::int64_t low, std::int64_t high) {
    return static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  };
  if (step > 0) {
    if (start >= stop) return 0;
    return (distance(start, stop) - 1) / static_cast<std::uint64_t>(step) + 1;
  }
  if (start <= stop) return 0;
  const std::uint64_t stride = ~static_cast<std::uint64_t>(step) + 1;
  return (distance(stop, start) - 1) / stride + 1;
}

int deepest(const std::vector<Value>& values) {
  int depth = 0;
  for (const Value& value : values) depth = std::max(depth, depth_of(value));
  return depth;
}

std::vector<Run> uniform(std::size_t size, bool trusted) {
  if (size == 0) return {};
  return {Run{size, trusted}};
}

// Python compares numbers of all types with each other; the rest only within its class.
int key_class(const Value& value) {
  if (value.is_number()) return 1;
  return value.is_string() ? 2 : 3 + static_cast<int>(value.kind());
}

template <typename T>
int three_way(const T& a, const T& b) {
  if (a < b) return -1;
  return b < a ? 1 : 0;
}

int compare_keys(const Value& a, const Value& b) {
  if (const int order = three_way(key_class(a), key_class(b)); order != 0) return order;
  switch (a.kind()) {
    case Kind::undefined:
    case Kind::none:
      return 0;
    case Kind::boolean:
    case Kind::integer:
    case Kind::real: {
      if (a.is_integral() && b.is_integral()) return three_way(a.as_integer(), b.as_integer());
      const double x = a.as_real();
      const double y = b.as_real();
      if (std::isnan(x) || std::isnan(y)) return three_way(std::isnan(x), std::isnan(y));
      return three_way(x, y);
    }
    case Kind::string:
      return three_way(a.text().bytes, b.text().bytes);
    case Kind::tuple: {
      const auto& x = a.as<Sequence>().items;
      const auto& y = b.as<Sequence>().items;
      for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
        if (const int order = compare_keys(x[i], y[i]); order != 0) return order;
      }
      return three_way(x.size(), y.size());
    }
    case Kind::function:
      return three_way(a.as_integer(), b.as_integer());
    default:
      return three_way(a.object().get(), b.object().get());
  }
}

}  // namespace

Text::Text(Budget* owner, std::string text, std::vector<Run> origin, bool safe)
    : Object(owner, kTextOverhead + text.size() + origin.size() * sizeof(Run)),
      bytes(std::move(text)),
      runs(std::move(origin)),
      points(count_points(bytes)),
      markup(safe) {}

Value Value::undefined(std::string message, bool security) {
  return Value(Kind::undefined, std::make_shared<Undefined>(std::move(message), security));
}

Value Value::constant(std::string text, bool markup) {
  const std::size_t size = text.size();
  return Value(Kind::string,
               std::make_shared<Text>(nullptr, std::move(text), uniform(size, true), markup));
}

Sequence::Sequence(Budget* owner, std::vector<Value> values, bool named_group)
    : Object(owner, sizeof(Sequence) + values.size() * sizeof(Value)),
      items(std::move(values)),
      depth(1 + deepest(items)),
      group(named_group) {}

bool KeyLess::operator()(const Value& a, const Value& b) const { return compare_keys(a, b) < 0; }

std::size_t Dict::position(const Value& key) const {
  if (items.size() >= kIndexFrom) {
    const auto found = index_.find(key);
    return found == index_.end() ? items.size() : found->second;
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (compare_keys(items[i].first, key) == 0) return i;
  }
  return items.size();
}

const Value* Dict::find(const Value& key) const {
  const std::size_t at = position(key);
  return at == items.size() ? nullptr : &items[at].second;
}

const Value* Dict::find(std::string_view key) const {
  if (items.size() >= kIndexFrom) return find(Value::constant(std::string(key)));
  for (const auto& [name, value] : items) {
    if (name.is_string() && name.bytes() == key) return &value;
  }
  return nullptr;
}

void Dict::set(const Value& key, const Value& value) {
  depth = std::max({depth, 1 + depth_of(key), 1 + depth_of(value)});
  const std::size_t at = position(key);
  if (at < items.size()) {
    items[at].second = value;
    return;
  }
  charge(2 * sizeof(Value) * 2 + (items.size() >= kIndexFrom ? 96 : 0));
  items.emplace_back(key, value);
  if (items.size() == kIndexFrom) {
    for (std::size_t i = 0; i < items.size(); ++i) index_.emplace(items[i].first, i);
  } else if (items.size() > kIndexFrom) {
    index_.emplace(key, at);
  }
}

RangeValue::RangeValue(Budget* owner, std::int64_t from, std::int64_t to, std::int64_t by)
    : Object(owner, sizeof(RangeValue)),
      start(from),
      stop(to),
      step(by),
      length(length_of_range(from, to, by)) {}

Generator::Generator(Budget* owner, std::vector<Value> values, std::optional<Raise> later,
                     const char* type, const char* maker)
    : Object(owner, sizeof(Generator) + values.size() * sizeof(Value)),
      items(std::move(values)),
      error(std::move(later)),
      type_name(type),
      name(maker),
      depth(1 + deepest(items)) {}

const Value* Namespace::find(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Namespace::set(std::string_view name, Value value) {
  for (auto& [key, old] : fields) {
    if (key != name) continue;
    // The old value may own this namespace's last outside reference: let it go after the change.
    std::swap(old, value);
    return;
  }
  charge(2 * (sizeof(Value) + sizeof(std::string)) + name.size());
  fields.emplace_back(std::string(name), std::move(value));
}

Cycler::Cycler(Budget* owner, std::vector<Value> values)
    : Object(owner, sizeof(Cycler) + values.size() * sizeof(Value)),
      items(std::move(values)),
      depth(1 + deepest(items)) {}

void TextBuilder::append(std::string_view bytes, bool trusted) {
  if (bytes.empty()) return;
  budget_.copy(bytes.size());
  // std::string doubles, so what is charged doubles too.
  const std::size_t wanted = bytes_.size() + bytes.size() + runs_.size() * sizeof(Run);
  if (wanted > charged_) {
    const std::size_t raised = std::max(wanted, std::min(charged_ * 2, charged_ + (1u << 20)));
    budget_.take(raised - charged_);
    charged_ = raised;
    bytes_.reserve(std::max(bytes_.size() + bytes.size(), raised - runs_.size() * sizeof(Run)));
  }
  bytes_ += bytes;
  if (!runs_.empty() && runs_.back().trusted == trusted) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), trusted});
  }
}

void TextBuilder::append(const Text& text, std::size_t begin, std::size_t end) {
  std::size_t at = begin;
  auto run = std::upper_bound(text.runs.begin(), text.runs.end(), begin,
                              [](std::size_t value, const Run& r) { return value < r.end; });
  const std::string_view bytes = text.bytes;
  for (; at < end && run != text.runs.end(); ++run) {
    const std::size_t stop = std::min(end, run->end);
    append(bytes.substr(at, stop - at), run->trusted);
    at = stop;
  }
}

Value TextBuilder::take(bool markup) {
  budget_.give(charged_);
  charged_ = 0;
  std::string bytes = std::exchange(bytes_, {});
  // A short text in a long buffer would cost more than it is charged for.
  if (bytes.capacity() > 64 && bytes.capacity() / 2 > bytes.size()) bytes.shrink_to_fit();
  return Value(Kind::string, std::make_shared<Text>(&budget_, std::move(bytes),
                                                    std::exchange(runs_, {}), markup));
}

std::string TextBuilder::take_bytes() {
  budget_.give(charged_);
  charged_ = 0;
  runs_.clear();
  return std::exchange(bytes_, {});
}

Value make_text(Budget& budget, std::string bytes, bool trusted, bool markup) {
  budget.copy(bytes.size());
  const std::size_t size = bytes.size();
  return Value(Kind::string,
               std::make_shared<Text>(&budget, std::move(bytes), uniform(size, trusted), markup));
}

Value subtext(Budget& budget, const Value& text, std::size_t begin, std::size_t end) {
  const Text& whole = text.text();
  if (begin == 0 && end == whole.bytes.size()) return text;
  if (whole.runs.size() == 1) {
    return make_text(budget, whole.bytes.substr(begin, end - begin), whole.runs[0].trusted,
                     whole.markup);
  }
  TextBuilder builder(budget);
  if (begin < end) builder.append(whole, begin, end);
  return builder.take(whole.markup);
}

int depth_of(const Value& value) {
  switch (value.kind()) {
    case Kind::list:
    case Kind::tuple:
      return value.as<Sequence>().depth;
    case Kind::dict:
      return value.as<Dict>().depth;
    case Kind::view:
      return 1 + value.as<View>().dict.as<Dict>().depth;
    case Kind::generator:
      return value.as<Generator>().depth;
    case Kind::cycler:
      return value.as<Cycler>().depth;
    case Kind::loop:
      return value.as<Loop>().depth;
    case Kind::method:
      return 1 + depth_of(value.as<Method>().self);
    case Kind::joiner:
      return 1 + depth_of(value.as<Joiner>().separator);
    default:
      return 0;
  }
}

void check_depth(const Budget& budget, int depth) {
  if (depth > budget.limits().depth) {
    throw LimitHit{
        fmt::format("values are nested deeper than the limit of {}", budget.limits().depth)};
  }
}

Value make_list(Budget& budget, std::vector<Value> items) {
  budget.step(items.size() / 8);
  auto list = std::make_shared<Sequence>(&budget, std::move(items));
  check_depth(budget, list->depth);
  return Value(Kind::list, std::move(list));
}

Value make_tuple(Budget& budget, std::vector<Value> items) {
  auto tuple = std::make_shared<Sequence>(&budget, std::move(items));
  check_depth(budget, tuple->depth);
  return Value(Kind::tuple, std::move(tuple));
}

Value make_dict(const std::shared_ptr<Dict>& dict) {
  if (dict->budget != nullptr) check_depth(*dict->budget, dict->depth);
  return Value(Kind::dict, dict);
}

Value make_range(Budget& budget, std::int64_t start, std::int64_t stop, std::int64_t step) {
  return Value(Kind::range, std::make_shared<RangeValue>(&budget, start, stop, step));
}

Value make_generator(Budget& budget, std::vector<Value> items, std::optional<Raise> error,
                     const char* type, const char* name) {
  auto out = std::make_shared<Generator>(&budget, std::move(items), std::move(error), type, name);
  Value value(Kind::generator, std::move(out));
  check_depth(budget, depth_of(value));
  return value;
}

}  // namespace weir::jinja
