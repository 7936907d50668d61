// The methods of containers, loops, cyclers and numbers.
#include <array>
#include <cmath>

#include "text/jinja/loop.h"
#include "text/jinja/methods.h"
#include "text/jinja/repr.h"

namespace weir::jinja {
namespace {

void take_no_arguments(std::string_view name, const CallArgs& args) {
  const Bound bound(name, args, {});
}

Value dict_get(Interpreter& in, const Value& self, const CallArgs& args) {
  if (!args.named.empty()) raise("TypeError", "dict.get() takes no keyword arguments");
  const Bound bound("get", args, {"key", "default"}, 1);
  check_hashable(in.budget(), *bound[0]);
  const Value* found = self.as<Dict>().find(*bound[0]);
  if (found != nullptr) return *found;
  return bound[1] != nullptr ? *bound[1] : Value();
}

template <View::Part part>
Value dict_view(Interpreter& in, const Value& self, const CallArgs& args) {
  constexpr std::string_view kNames[] = {"keys", "values", "items"};
  take_no_arguments(kNames[static_cast<int>(part)], args);
  return Value(Kind::view, std::make_shared<View>(&in.budget(), self, part));
}

Value copy(Interpreter&, const Value& self, const CallArgs& args) {
  take_no_arguments("copy", args);
  return self;  // nothing can change either of them
}

Value sequence_count(Interpreter& in, const Value& self, const CallArgs& args) {
  const Bound bound("count", args, {"value"}, 1);
  std::int64_t found = 0;
  for (const Value& item : self.as<Sequence>().items) {
    found += equal(in.budget(), item, *bound[0]) ? 1 : 0;
  }
  return Value::integer(found);
}

Value sequence_index(Interpreter& in, const Value& self, const CallArgs& args) {
  const Bound bound("index", args, {"value", "start", "stop"}, 1);
  const auto& items = self.as<Sequence>().items;
  const auto count = static_cast<std::int64_t>(items.size());
  const auto clamp = [count](std::int64_t at) {
    if (at < 0) at = at < -count ? 0 : at + count;
    return std::min(at, count);
  };
  const std::int64_t end = clamp(bound.integer(2, count));
  for (std::int64_t i = clamp(bound.integer(1, 0)); i < end; ++i) {
    if (equal(in.budget(), items[static_cast<std::size_t>(i)], *bound[0])) {
      return Value::integer(i);
    }
  }
  raise("ValueError", "{} is not in {}", repr(in.budget(), *bound[0]), type_name(self));
}

Value loop_cycle(Interpreter&, const Value& self, const CallArgs& args) {
  if (args.positional.empty()) raise("TypeError", "no items for cycling given");
  const auto at = static_cast<std::size_t>(std::max<std::int64_t>(self.as<Loop>().index0(), 0));
  return args.positional[at % args.positional.size()];
}

Value loop_changed(Interpreter& in, const Value& self, const CallArgs& args) {
  return Value::boolean(
      self.as<Loop>().changed(make_tuple(in.budget(), std::vector<Value>(args.positional))));
}

Value cycler_next(Interpreter&, const Value& self, const CallArgs& args) {
  take_no_arguments("next", args);
  auto& cycler = self.as<Cycler>();
  Value current = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return current;
}

Value cycler_reset(Interpreter&, const Value& self, const CallArgs& args) {
  take_no_arguments("reset", args);
  self.as<Cycler>().position = 0;
  return {};
}

Value is_integer(Interpreter&, const Value& self, const CallArgs& args) {
  take_no_arguments("is_integer", args);
  const double value = self.as_real();
  return Value::boolean(std::isfinite(value) && std::floor(value) == value);
}

const std::array<MethodEntry, 15> kMethods = {{
    {Kind::dict, "get", dict_get},
    {Kind::dict, "keys", dict_view<View::Part::keys>},
    {Kind::dict, "values", dict_view<View::Part::values>},
    {Kind::dict, "items", dict_view<View::Part::items>},
    {Kind::dict, "copy", copy},
    {Kind::list, "copy", copy},
    {Kind::list, "count", sequence_count},
    {Kind::list, "index", sequence_index},
    {Kind::tuple, "count", sequence_count},
    {Kind::tuple, "index", sequence_index},
    {Kind::loop, "cycle", loop_cycle},
    {Kind::loop, "changed", loop_changed},
    {Kind::cycler, "next", cycler_next},
    {Kind::cycler, "reset", cycler_reset},
    {Kind::real, "is_integer", is_integer},
}};

}  // namespace

const MethodEntry* find_method(Kind kind, std::string_view name) {
  if (kind == Kind::string) return find_text_method(name);
  for (const MethodEntry& entry : kMethods) {
    if (entry.kind == kind && entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace weir::jinja
