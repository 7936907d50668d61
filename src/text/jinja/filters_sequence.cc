// Filters that work on sequences and mappings. The lazy ones return a one-shot generator, as the
// reference does: it has no length, cannot be indexed and is no JSON.
#include <algorithm>
#include <functional>
#include <set>

#include "text/jinja/filters.h"
#include "text/jinja/methods.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

// Runs a lazy filter's body at once; what it raises waits until iteration comes to it.
Value generate(Interpreter& in, const char* name, const std::function<void(Items&)>& body) {
  Items items(in.budget());
  std::optional<Raise> error;
  try {
    body(items);
  } catch (Raise& raised) {
    error = std::move(raised);
  }
  return make_generator(in.budget(), items.take(), std::move(error), "generator", name);
}

void for_each(Interpreter& in, const Value& iterable, const std::function<void(const Value&)>& f) {
  Cursor cursor(iterable);
  Value item;
  while (cursor.next(in.budget(), item)) {
    in.budget().step();
    f(item);
  }
}

Value without_case(Interpreter& in, const Value& value) {
  if (!value.is_string()) return value;
  return find_text_method("lower")->run(in, value, {});
}

// The key by which sort, min, unique, groupby compare items.
class KeyOf {
 public:
  KeyOf(Interpreter& in, const Value* attribute, bool case_sensitive,
        const Value* otherwise = nullptr)
      : in_(in), ignore_case_(!case_sensitive), otherwise_(otherwise) {
    if (attribute != nullptr) path_ = attribute_path(*attribute);
  }
  Value operator()(const Value& item) const {
    const Value key = follow_path(in_.budget(), item, path_, otherwise_);
    return ignore_case_ ? without_case(in_, key) : key;
  }

 private:
  Interpreter& in_;
  std::vector<Value> path_;
  bool ignore_case_;
  const Value* otherwise_;
};

using Keyed = std::pair<Value, Value>;  // key, item

std::vector<Value> sorted(Interpreter& in, std::vector<Keyed> keyed, bool reverse) {
  // Reversed before and after: equal items keep their order, as in Python.
  if (reverse) std::reverse(keyed.begin(), keyed.end());
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return compare(in.budget(), CompareOp::lt, a.first, b.first);
  });
  if (reverse) std::reverse(keyed.begin(), keyed.end());
  std::vector<Value> out;
  out.reserve(keyed.size());
  for (Keyed& pair : keyed) out.push_back(std::move(pair.second));
  return out;
}

Value sort(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_sort", args, {"reverse", "case_sensitive", "attribute"});
  const bool case_sensitive = bound.flag(1, false);
  std::vector<KeyOf> getters;
  if (bound[2] != nullptr && bound[2]->is_string()) {
    const CallArgs comma{{Value::constant(",")}, {}};
    const Value names = find_text_method("split")->run(in, *bound[2], comma);
    for (const Value& name : names.as<Sequence>().items) {
      getters.emplace_back(in, &name, case_sensitive);
    }
  } else {
    getters.emplace_back(in, bound[2], case_sensitive);
  }
  std::vector<Keyed> keyed;
  for (const Value& item : collect(in.budget(), value)) {
    std::vector<Value> keys;
    for (const KeyOf& getter : getters) keys.push_back(getter(item));
    keyed.emplace_back(make_list(in.budget(), std::move(keys)), item);
  }
  return make_list(in.budget(), sorted(in, std::move(keyed), bound.flag(0, false)));
}

Value dict_sort(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_dictsort", args, {"case_sensitive", "by", "reverse"});
  const std::string_view by =
      bound[1] != nullptr && bound[1]->is_string() ? bound[1]->bytes() : "key";
  if (by != "key" && by != "value") {
    raise("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
  }
  if (value.is_undefined()) raise_undefined(value);
  if (!value.is(Kind::dict)) {
    raise("AttributeError", "'{}' object has no attribute 'items'", type_name(value));
  }
  std::vector<Keyed> keyed;
  for (const auto& [key, item] : value.as<Dict>().items) {
    const Value& sort_by = by == "key" ? key : item;
    keyed.emplace_back(bound.flag(0, false) ? sort_by : without_case(in, sort_by),
                       make_tuple(in.budget(), {key, item}));
  }
  return make_list(in.budget(), sorted(in, std::move(keyed), bound.flag(2, false)));
}

Value unique(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_unique", args, {"case_sensitive", "attribute"});
  const KeyOf key_of(in, bound[1], bound.flag(0, false));
  return generate(in, "do_unique", [&](Items& items) {
    std::set<Value, KeyLess> seen;
    for_each(in, value, [&](const Value& item) {
      const Value key = key_of(item);
      check_hashable(in.budget(), key);
      if (seen.insert(key).second) items.push(item);
    });
  });
}

template <bool largest>
Value extreme(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound(largest ? "do_max" : "do_min", args, {"case_sensitive", "attribute"});
  const KeyOf key_of(in, bound[1], bound.flag(0, false));
  std::optional<Keyed> best;
  for_each(in, value, [&](const Value& item) {
    Value key = key_of(item);
    if (!best || compare(in.budget(), largest ? CompareOp::gt : CompareOp::lt, key, best->first)) {
      best = Keyed(std::move(key), item);
    }
  });
  if (!best) return Value::undefined("No aggregated item, sequence was empty.");
  return best->second;
}

Value group_by(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const Value* otherwise = bound[1] != nullptr && !bound[1]->is_none() ? bound[1] : nullptr;
  const KeyOf key_of(in, bound[0], bound.flag(2, false), otherwise);
  const KeyOf shown(in, bound[0], true, otherwise);
  std::vector<Keyed> keyed;
  for (const Value& item : collect(in.budget(), value)) keyed.emplace_back(key_of(item), item);
  const std::vector<Value> ordered = sorted(in, std::move(keyed), false);
  Items groups(in.budget());
  for (std::size_t i = 0; i < ordered.size();) {
    const Value key = key_of(ordered[i]);
    std::vector<Value> members;
    const Value name = shown(ordered[i]);
    for (; i < ordered.size() && equal(in.budget(), key_of(ordered[i]), key); ++i) {
      members.push_back(ordered[i]);
    }
    if (members.empty()) members.push_back(ordered[i++]);  // a key that differs from itself: nan
    auto group = std::make_shared<Sequence>(
        &in.budget(), std::vector<Value>{name, make_list(in.budget(), std::move(members))}, true);
    check_depth(in.budget(), group->depth);
    groups.push(Value(Kind::tuple, std::move(group)));
  }
  return make_list(in.budget(), groups.take());
}

Value length_filter(Interpreter&, const Value& value, const CallArgs& args) {
  const Bound bound("len", args, {});
  return Value::integer(length(value));
}

Value list(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_list", args, {});
  return make_list(in.budget(), collect(in.budget(), value));
}

Value items_of(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_items", args, {});
  return generate(in, "do_items", [&](Items& items) {
    if (value.is_undefined()) return;
    if (!value.is(Kind::dict)) raise("TypeError", "Can only get item pairs from a mapping.");
    for (const auto& [key, item] : value.as<Dict>().items) {
      in.budget().step();
      items.push(make_tuple(in.budget(), {key, item}));
    }
  });
}

Value first(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_first", args, {});
  Cursor cursor(value);
  Value item;
  if (cursor.next(in.budget(), item)) return item;
  return Value::undefined("No first item, sequence was empty.");
}

bool is_reversible(const Value& value) {
  return is_iterable(value) && !value.is(Kind::generator) && !value.is(Kind::loop);
}

Value last(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_last", args, {});
  if (!is_reversible(value)) {
    raise("TypeError", "'{}' object is not reversible", type_name(value));
  }
  const auto items = value.is(Kind::list) || value.is(Kind::tuple) || value.is(Kind::string)
                         ? std::vector<Value>{}
                         : collect(in.budget(), value);
  if (!items.empty()) return items.back();
  if (length(value) > 0) return get_item(in.budget(), value, Value::integer(-1));
  return Value::undefined("No last item, sequence was empty.");
}

Value reverse(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_reverse", args, {});
  if (value.is_string()) {
    return slice(in.budget(), value, Value(), Value(), Value::integer(-1));
  }
  if (!is_iterable(value)) raise("FilterArgumentError", "argument must be iterable");
  auto items = collect(in.budget(), value);
  std::reverse(items.begin(), items.end());
  if (!is_reversible(value)) return make_list(in.budget(), std::move(items));
  const char* type = value.is(Kind::list) ? "list_reverseiterator" : "reversed";
  return make_generator(in.budget(), std::move(items), std::nullopt, type, "");
}

Value join(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_join", args, {"d", "attribute"});
  const Value separator =
      to_text(in.budget(), bound[0] != nullptr ? *bound[0] : Value::constant(""));
  const bool follow = bound[1] != nullptr && !bound[1]->is_none();
  const std::vector<Value> path = follow ? attribute_path(*bound[1]) : std::vector<Value>{};
  TextBuilder out(in.budget());
  bool head = true;
  for_each(in, value, [&](const Value& item) {
    if (!head) out.append(separator.text());
    head = false;
    out.append(to_text(in.budget(), follow_path(in.budget(), item, path)).text());
  });
  return out.take();
}

Value sum(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_sum", args, {"attribute", "start"});
  const bool follow = bound[0] != nullptr && !bound[0]->is_none();
  const std::vector<Value> path = follow ? attribute_path(*bound[0]) : std::vector<Value>{};
  Value total = bound[1] != nullptr ? *bound[1] : Value::integer(0);
  if (total.is_string()) {
    raise("TypeError", "sum() can't sum strings [use ''.join(seq) instead]");
  }
  for_each(in, value, [&](const Value& item) {
    total = binary(in.budget(), BinaryOp::add, total, follow_path(in.budget(), item, path));
  });
  return total;
}

Value batch(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_batch", args, {"linecount", "fill_with"}, 1);
  return generate(in, "do_batch", [&](Items& items) {
    const std::int64_t size = index_of(*bound[0], "batch");
    std::vector<Value> row;
    for_each(in, value, [&](const Value& item) {
      if (static_cast<std::int64_t>(row.size()) == size) {
        items.push(make_list(in.budget(), std::exchange(row, {})));
      }
      row.push_back(item);
    });
    if (row.empty()) return;
    if (bound[1] != nullptr && !bound[1]->is_none()) {
      while (static_cast<std::int64_t>(row.size()) < size) {
        in.budget().step(2);
        row.push_back(*bound[1]);
      }
    }
    items.push(make_list(in.budget(), std::move(row)));
  });
}

Value slices(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("do_slice", args, {"slices", "fill_with"}, 1);
  return generate(in, "sync_do_slice", [&](Items& items) {
    const std::vector<Value> all = collect(in.budget(), value);
    const std::int64_t count = index_of(*bound[0], "slice");
    if (count == 0) raise("ZeroDivisionError", "integer division or modulo by zero");
    const auto size = static_cast<std::int64_t>(all.size());
    const std::int64_t extra = count > 0 ? size % count : 0;
    auto at = all.begin();
    for (std::int64_t i = 0; i < count; ++i) {
      in.budget().step(2);
      const auto end = at + size / count + (i < extra ? 1 : 0);
      std::vector<Value> row(at, end);
      at = end;
      if (bound[1] != nullptr && !bound[1]->is_none() && i >= extra) row.push_back(*bound[1]);
      items.push(make_list(in.budget(), std::move(row)));
    }
  });
}

Value map(Interpreter& in, const Value& value, const CallArgs& args) {
  return generate(in, "sync_do_map", [&](Items& items) {
    if (!truthy(value)) return;
    const Value* attribute = args.find("attribute");
    if (args.positional.empty() && attribute != nullptr) {
      for (const auto& [name, unused] : args.named) {
        if (name == "attribute" || name == "default") continue;
        raise("FilterArgumentError", "Unexpected keyword argument {}", quoted_short(name));
      }
      const Bound bound("map", args, {"attribute", "default"});
      const std::vector<Value> path = attribute_path(*attribute);
      const Value* otherwise = bound[1] != nullptr && !bound[1]->is_none() ? bound[1] : nullptr;
      for_each(in, value, [&](const Value& item) {
        items.push(follow_path(in.budget(), item, path, otherwise));
      });
      return;
    }
    if (args.positional.empty()) {
      raise("FilterArgumentError", "map requires a filter argument");
    }
    const Value& name = args.positional[0];
    if (!name.is_string()) raise("TypeError", "the name of a filter must be a text");
    const CallArgs rest{{args.positional.begin() + 1, args.positional.end()}, args.named};
    for_each(in, value,
             [&](const Value& item) { items.push(in.apply_filter(name.bytes(), item, rest)); });
  });
}

// select, reject and, with an attribute first, selectattr, rejectattr.
template <bool wanted, bool with_attribute>
Value choose(Interpreter& in, const Value& value, const CallArgs& args) {
  return generate(in, "select_or_reject", [&](Items& items) {
    if (!truthy(value)) return;
    constexpr std::size_t kSkip = with_attribute ? 1 : 0;
    if (args.positional.size() < kSkip) {
      raise("FilterArgumentError", "Missing parameter for attribute name");
    }
    const std::vector<Value> path =
        with_attribute ? attribute_path(args.positional[0]) : std::vector<Value>{};
    const Value* test = args.positional.size() > kSkip ? &args.positional[kSkip] : nullptr;
    if (test != nullptr && !test->is_string()) {
      raise("TypeError", "the name of a test must be a text");
    }
    CallArgs rest;
    if (test != nullptr) {
      rest.positional.assign(args.positional.begin() + kSkip + 1, args.positional.end());
      rest.named = args.named;
    }
    for_each(in, value, [&](const Value& item) {
      const Value subject = follow_path(in.budget(), item, path);
      const bool holds =
          test == nullptr ? truthy(subject) : in.apply_test(test->bytes(), subject, rest);
      if (holds == wanted) items.push(item);
    });
  });
}

}  // namespace

std::vector<Value> attribute_path(const Value& attribute) {
  if (attribute.is_none()) return {};
  if (!attribute.is_string()) return {attribute};
  std::vector<Value> path;
  const std::string_view text = attribute.bytes();
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('.', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    const bool number = !part.empty() && part.size() < 18 &&
                        part.find_first_not_of("0123456789") == std::string_view::npos;
    path.push_back(number ? Value::integer(std::stoll(std::string(part)))
                          : Value::constant(std::string(part)));
    at = end + 1;
  }
  return path;
}

Value follow_path(Budget& budget, Value item, const std::vector<Value>& path,
                  const Value* otherwise) {
  for (const Value& part : path) {
    budget.step();
    item = get_item(budget, item, part);
    if (otherwise != nullptr && item.is_undefined()) item = *otherwise;
  }
  return item;
}

const std::vector<FilterEntry> kSequenceFilters = {
    {"batch", batch},
    {"count", length_filter},
    {"dictsort", dict_sort},
    {"first", first},
    {"groupby", group_by},
    {"items", items_of},
    {"join", join},
    {"last", last},
    {"length", length_filter},
    {"list", list},
    {"map", map},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"reject", choose<false, false>},
    {"rejectattr", choose<false, true>},
    {"reverse", reverse},
    {"select", choose<true, false>},
    {"selectattr", choose<true, true>},
    {"slice", slices},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
};

}  // namespace weir::jinja
