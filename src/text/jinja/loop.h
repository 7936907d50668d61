// The `loop` variable of a for block: position, neighbours, and the call that renders the body
// again for nested items.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "text/jinja/ops.h"

namespace weir::jinja {

struct For;
class Scope;

class Loop : public Object {
 public:
  /// Yields the next item that passes the loop's `if`, false at the end.
  using Filter = std::function<bool(const Value&)>;

  Loop(Budget& owner, const Value& iterable, Filter filter, int level);

  /// Moves on to the next item.
  bool advance(Value& item);
  /// The loop has ended: no further item may be pulled through the filter.
  void finish();

  Value attribute(std::string_view name, bool& found);
  std::int64_t length();
  bool changed(const Value& value);
  std::int64_t index0() const { return index0_; }

  const int depth;               // of nested values, see depth_of
  const int level;               // of recursive loops, 0 for the outermost
  const For* node = nullptr;     // set if the loop is recursive
  std::shared_ptr<Scope> scope;  // around the loop, set if it is recursive

 private:
  bool pull(Value& item);
  bool peek();

  Budget& budget_;
  Value iterable_;
  Cursor cursor_;
  Filter filter_;
  bool finished_ = false;
  std::int64_t index0_ = -1;
  std::optional<std::int64_t> length_;
  std::vector<Value> drained_;  // items that length() had to pull, from drained_at_ on
  std::size_t drained_at_ = 0;
  std::optional<Value> before_;
  std::optional<Value> current_;
  std::optional<Value> after_;
  std::optional<Value> last_changed_;
};

}  // namespace weir::jinja
