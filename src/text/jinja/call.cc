// Calls: methods, global functions, macros with their defaults and extra arguments, recursive
// loops.
#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/levels.h"
#include "text/jinja/loop.h"
#include "text/jinja/methods.h"
#include "text/jinja/repr.h"

namespace weir::jinja {

const Value* CallArgs::find(std::string_view name) const {
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

Bound::Bound(std::string_view function, const CallArgs& args,
             std::initializer_list<std::string_view> parameters, std::size_t required)
    : function_(function), values_(parameters.size(), nullptr) {
  if (args.positional.size() > parameters.size()) {
    raise("TypeError", "{}() takes at most {} arguments ({} given)", function, parameters.size(),
          args.positional.size());
  }
  for (std::size_t i = 0; i < args.positional.size(); ++i) values_[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    const auto found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end()) {
      raise("TypeError", "{}() got an unexpected keyword argument {}", function,
            quoted_short(name));
    }
    const auto at = static_cast<std::size_t>(found - parameters.begin());
    if (values_[at] != nullptr) {
      raise("TypeError", "{}() got multiple values for argument {}", function, quoted_short(name));
    }
    values_[at] = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) {
      raise("TypeError", "{}() missing 1 required positional argument: {}", function,
            quoted_short(*(parameters.begin() + i)));
    }
  }
}

bool Bound::flag(std::size_t parameter, bool otherwise) const {
  return values_[parameter] != nullptr ? truthy(*values_[parameter]) : otherwise;
}

std::int64_t Bound::integer(std::size_t parameter, std::int64_t otherwise) const {
  return values_[parameter] != nullptr ? index_of(*values_[parameter], function_) : otherwise;
}

Value Interpreter::eval_call(const Call& node, const Value* caller) {
  const Value callee = eval(*node.callee);
  CallArgs args = eval_arguments(node.args);
  if (caller != nullptr) args.named.emplace_back("caller", *caller);
  current_ = &node;
  return call(callee, args);
}

Value Interpreter::call(const Value& callee, const CallArgs& args) {
  switch (callee.kind()) {
    case Kind::undefined:
      raise_undefined(callee);
    case Kind::method: {
      const auto& method = callee.as<Method>();
      return method.entry.run(*this, method.self, args);
    }
    case Kind::function:
      return functions()[static_cast<std::size_t>(callee.as_integer())].run(*this, args);
    case Kind::macro:
      return call_macro(callee.as<MacroValue>(), args);
    case Kind::loop:
      return call_loop(callee.as<Loop>(), args);
    case Kind::joiner: {
      const Bound bound("joiner", args, {});
      auto& joiner = callee.as<Joiner>();
      return std::exchange(joiner.used, true) ? joiner.separator : Value::constant("");
    }
    default:
      raise("TypeError", "'{}' object is not callable", type_name(callee));
  }
}

Value Interpreter::apply_filter(std::string_view name, const Value& value, const CallArgs& args) {
  const int row = find_filter(name);
  if (row < 0) raise("TemplateRuntimeError", "No filter named {}.", quoted_short(name));
  const Level level(*this);
  return filter_at(row).run(*this, value, args);
}

bool Interpreter::apply_test(std::string_view name, const Value& value, const CallArgs& args) {
  const int row = find_test(name);
  if (row < 0) raise("TemplateRuntimeError", "No test named {}.", quoted_short(name));
  return test_at(row).run(*this, value, args);
}

// Renders a body in a scope of its own and returns the text.
Value Interpreter::capture(const std::shared_ptr<Scope>& scope, const Body& body) {
  const Entered entered(*this, scope);
  TextBuilder text(budget_);
  TextBuilder* const outer = std::exchange(out_, &text);
  run_body(body);
  out_ = outer;
  return text.take();
}

Value Interpreter::call_macro(const MacroValue& macro, const CallArgs& args) {
  if (++calls_ > budget_.limits().depth) {
    throw LimitHit{
        fmt::format("calls are nested deeper than the limit of {}", budget_.limits().depth)};
  }
  const auto scope = std::make_shared<Scope>(macro.scope);
  bind_macro(macro, args, *scope);
  const Node* const caller = current_;
  {
    // Defaults see the parameters before them, so they are evaluated inside.
    const Entered entered(*this, scope);
    const auto& parameters = macro.node.parameters;
    const std::size_t required = parameters.size() - macro.node.defaults.size();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto& [id, name] = parameters[i];
      const bool given = i < args.positional.size() || args.find(name) != nullptr;
      if (given) continue;
      scope->set(id, i < required ? Value::undefined(fmt::format("parameter {} was not provided",
                                                                 quoted_short(name)))
                                  : eval(*macro.node.defaults[i - required]));
    }
  }
  Value out = capture(scope, macro.node.body);
  current_ = caller;
  --calls_;
  return out;
}

// Parameters given, and caller, kwargs and varargs where the body mentions them.
void Interpreter::bind_macro(const MacroValue& macro, const CallArgs& args, Scope& scope) {
  const Macro& node = macro.node;
  const std::size_t count = node.parameters.size();
  // Both lists are searched for each name.
  budget_.step(count * (args.named.size() + args.positional.size()) / 64);
  const std::string shown = macro.name.empty() ? "None" : quoted_short(macro.name);
  for (std::size_t i = 0; i < std::min(count, args.positional.size()); ++i) {
    scope.set(node.parameters[i].first, args.positional[i]);
  }
  bool explicit_caller = false;
  auto extra = std::make_shared<Dict>(&budget_);
  std::optional<Value> caller;
  for (const auto& parameter : node.parameters) {
    explicit_caller = explicit_caller || parameter.second == "caller";
  }
  for (const auto& [name, value] : args.named) {
    const auto found = std::find_if(node.parameters.begin(), node.parameters.end(),
                                    [&name = name](const auto& p) { return p.second == name; });
    const auto at = static_cast<std::size_t>(found - node.parameters.begin());
    if (at < count && at >= args.positional.size()) {
      scope.set(found->first, value);
    } else if (name == "caller" && node.uses_caller && !explicit_caller) {
      caller = value;
    } else if (node.uses_kwargs) {
      extra->set(Value::constant(name), value);
    } else if (name == "caller") {
      raise("TypeError",
            "macro {} was invoked with two values for the special caller argument. This is most "
            "likely a bug.",
            shown);
    } else {
      raise("TypeError", "macro {} takes no keyword argument {}", shown, quoted_short(name));
    }
  }
  if (node.uses_caller && !explicit_caller) {
    scope.set(kCallerName, caller ? *caller : Value::undefined("No caller defined"));
  }
  if (node.uses_kwargs) scope.set(kKwargsName, make_dict(extra));
  if (node.uses_varargs) {
    std::vector<Value> rest;
    if (args.positional.size() > count) {
      rest.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(count),
                  args.positional.end());
    }
    scope.set(kVarargsName, make_tuple(budget_, std::move(rest)));
  } else if (args.positional.size() > count) {
    raise("TypeError", "macro {} takes not more than {} argument(s)", shown, count);
  }
}

Value Interpreter::call_loop(Loop& loop, const CallArgs& args) {
  const Bound bound("loop", args, {"iterable"}, 1);
  if (loop.node == nullptr) {
    raise("TypeError", "The loop must have the 'recursive' marker to be called recursively.");
  }
  if (++calls_ > budget_.limits().depth) {
    throw LimitHit{
        fmt::format("calls are nested deeper than the limit of {}", budget_.limits().depth)};
  }
  const Node* const caller = current_;
  const Entered entered(*this, loop.scope);
  TextBuilder text(budget_);
  TextBuilder* const outer = std::exchange(out_, &text);
  run_loop(*loop.node, *bound[0], loop.level + 1);
  out_ = outer;
  current_ = caller;
  --calls_;
  return text.take();
}

}  // namespace weir::jinja
