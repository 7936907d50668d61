#include "text/jinja/loop.h"

namespace weir::jinja {

Loop::Loop(Budget& owner, const Value& iterable, Filter filter, int nested)
    : Object(&owner, sizeof(Loop)),
      depth(1 + depth_of(iterable)),
      level(nested),
      budget_(owner),
      iterable_(iterable),
      cursor_(iterable),
      filter_(std::move(filter)) {
  check_depth(owner, depth);
}

bool Loop::pull(Value& item) {
  if (drained_at_ < drained_.size()) {
    item = drained_[drained_at_++];
    return true;
  }
  if (finished_) return false;
  while (cursor_.next(budget_, item)) {
    if (!filter_ || filter_(item)) return true;
  }
  finished_ = true;
  return false;
}

bool Loop::peek() {
  if (after_) return true;
  Value item;
  if (!pull(item)) return false;
  after_ = item;
  return true;
}

bool Loop::advance(Value& item) {
  if (after_) {
    item = *after_;
    after_.reset();
  } else if (!pull(item)) {
    return false;
  }
  ++index0_;
  before_ = std::move(current_);
  current_ = item;
  return true;
}

void Loop::finish() {
  finished_ = true;
  filter_ = nullptr;
}

std::int64_t Loop::length() {
  if (length_) return *length_;
  if (!filter_ && has_length(iterable_)) {
    length_ = jinja::length(iterable_);
    return *length_;
  }
  std::vector<Value> rest;
  Value item;
  while (pull(item)) {
    charge(sizeof(Value));
    rest.push_back(item);
  }
  drained_ = std::move(rest);
  drained_at_ = 0;
  length_ = static_cast<std::int64_t>(drained_.size()) + index0_ + 1 + (after_ ? 1 : 0);
  return *length_;
}

bool Loop::changed(const Value& value) {
  if (last_changed_ && equal(budget_, *last_changed_, value)) return false;
  last_changed_ = value;
  return true;
}

Value Loop::attribute(std::string_view name, bool& found) {
  found = true;
  if (name == "index") return Value::integer(index0_ + 1);
  if (name == "index0") return Value::integer(index0_);
  if (name == "first") return Value::boolean(index0_ == 0);
  if (name == "last") return Value::boolean(!peek());
  if (name == "length") return Value::integer(length());
  if (name == "revindex") return Value::integer(length() - index0_);
  if (name == "revindex0") return Value::integer(length() - index0_ - 1);
  if (name == "depth") return Value::integer(level + 1);
  if (name == "depth0") return Value::integer(level);
  if (name == "previtem") {
    if (index0_ == 0 || !before_) return Value::undefined("there is no previous item");
    return *before_;
  }
  if (name == "nextitem") {
    if (!peek()) return Value::undefined("there is no next item");
    return *after_;
  }
  found = false;
  return {};
}

}  // namespace weir::jinja
