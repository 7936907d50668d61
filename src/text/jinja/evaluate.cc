// Expressions. Each kind has a function of its own, so that a deep expression takes little stack.
#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/levels.h"
#include "text/jinja/repr.h"

namespace weir::jinja {

Value Interpreter::eval(const Node& node) {
  budget_.step();
  switch (node.kind) {
    case NodeKind::constant:
      return static_cast<const Constant&>(node).value;
    case NodeKind::name:
      return eval_name(static_cast<const Name&>(node));
    default:
      break;
  }
  const Level level(*this);
  switch (node.kind) {
    case NodeKind::list:
    case NodeKind::tuple:
      return eval_items(static_cast<const ListNode&>(node));
    case NodeKind::concat:
      return eval_concat(static_cast<const ListNode&>(node));
    case NodeKind::dict:
      return eval_dict(static_cast<const DictLiteral&>(node));
    case NodeKind::attribute: {
      const auto& attribute = static_cast<const Attribute&>(node);
      const Value object = eval(*attribute.object);
      current_ = &node;
      return get_attribute(budget_, object, attribute.name);
    }
    case NodeKind::item:
      return eval_item(static_cast<const Item&>(node));
    case NodeKind::call:
      return eval_call(static_cast<const Call&>(node));
    case NodeKind::filter:
    case NodeKind::test:
      return eval_apply(static_cast<const Apply&>(node));
    case NodeKind::unary: {
      const auto& unary = static_cast<const Unary&>(node);
      const Value operand = eval(*unary.operand);
      current_ = &node;
      return unary.negate ? negated(operand) : plus(operand);
    }
    case NodeKind::binary:
      return eval_binary(static_cast<const Binary&>(node));
    case NodeKind::compare:
      return eval_compare(static_cast<const Compare&>(node));
    case NodeKind::logic:
      return eval_logic(static_cast<const Logic&>(node));
    case NodeKind::negation:
      return Value::boolean(!truthy(eval(*static_cast<const Negation&>(node).operand)));
    case NodeKind::conditional:
      return eval_conditional(static_cast<const Conditional&>(node));
    default:
      raise("TypeError", "a slice stands outside of a subscript");
  }
}

Value Interpreter::eval_name(const Name& node) {
  const Value* found = scope_->find(node.id);
  if (found != nullptr) return *found;
  return Value::undefined(fmt::format("{} is undefined", quoted_short(program_.names[node.id])));
}

Value Interpreter::eval_items(const ListNode& node) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const Expr item : node.items) items.push_back(eval(*item));
  current_ = &node;
  return node.kind == NodeKind::list ? make_list(budget_, std::move(items))
                                     : make_tuple(budget_, std::move(items));
}

Value Interpreter::eval_concat(const ListNode& node) {
  TextBuilder out(budget_);
  for (const Expr item : node.items) {
    const Value value = eval(*item);
    current_ = &node;
    out.append(to_text(budget_, value).text());
    budget_.expect(out.size());
  }
  return out.take();
}

Value Interpreter::eval_dict(const DictLiteral& node) {
  auto dict = std::make_shared<Dict>(&budget_);
  for (const auto& [key_node, value_node] : node.items) {
    const Value key = eval(*key_node);
    const Value value = eval(*value_node);
    current_ = &node;
    check_hashable(budget_, key);
    dict->set(key, value);
  }
  return make_dict(dict);
}

Value Interpreter::eval_item(const Item& node) {
  const Value object = eval(*node.object);
  if (node.key->kind != NodeKind::slice) {
    const Value key = eval(*node.key);
    current_ = &node;
    return get_item(budget_, object, key);
  }
  const auto& part = static_cast<const Slice&>(*node.key);
  const Value start = part.start != nullptr ? eval(*part.start) : Value();
  const Value stop = part.stop != nullptr ? eval(*part.stop) : Value();
  const Value step = part.step != nullptr ? eval(*part.step) : Value();
  current_ = &part;
  return slice(budget_, object, start, stop, step);
}

Value Interpreter::eval_binary(const Binary& node) {
  // a + b + c + … leans to the left: walked by a loop, so that a long sum is not a deep one.
  std::vector<const Binary*> chain = {&node};
  while (chain.back()->left->kind == NodeKind::binary) {
    budget_.step();
    chain.push_back(static_cast<const Binary*>(chain.back()->left));
  }
  Value left = eval(*chain.back()->left);
  for (auto link = chain.rbegin(); link != chain.rend(); ++link) {
    const Value right = eval(*(*link)->right);
    current_ = *link;
    left = binary(budget_, (*link)->op, left, right);
  }
  return left;
}

Value Interpreter::eval_compare(const Compare& node) {
  Value left = eval(*node.first);
  for (const auto& [op, right_node] : node.rest) {
    Value right = eval(*right_node);
    current_ = &node;
    if (!compare(budget_, op, left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::eval_logic(const Logic& node) {
  Value value;
  for (const Expr item : node.items) {
    value = eval(*item);
    if (truthy(value) != node.all) return value;
  }
  return value;
}

Value Interpreter::eval_conditional(const Conditional& node) {
  if (truthy(eval(*node.test))) return eval(*node.yes);
  if (node.no != nullptr) return eval(*node.no);
  return Value::undefined(
      fmt::format("the inline if-expression on line {} evaluated to false and no else section was "
                  "defined.",
                  node.line));
}

// A filter or test; `block` is the text of a filter block, which the innermost filter works on.
Value Interpreter::eval_apply(const Apply& node, const Value* block) {
  const Level level(*this);
  Value value;
  if (node.object == nullptr) {
    value = *block;
  } else if (block != nullptr) {
    value = eval_apply(static_cast<const Apply&>(*node.object), block);
  } else {
    value = eval(*node.object);
  }
  const CallArgs args = eval_arguments(node.args);
  current_ = &node;
  const bool is_filter = node.kind == NodeKind::filter;
  if (node.entry < 0) {
    raise("TemplateRuntimeError", "No {} named {} found.", is_filter ? "filter" : "test",
          quoted_short(node.name));
  }
  if (is_filter) return filter_at(node.entry).run(*this, value, args);
  return Value::boolean(test_at(node.entry).run(*this, value, args));
}

CallArgs Interpreter::eval_arguments(const Arguments& args) {
  CallArgs out;
  out.positional.reserve(args.positional.size());
  for (const Expr item : args.positional) out.positional.push_back(eval(*item));
  for (const auto& [name, item] : args.named) out.named.emplace_back(name, eval(*item));
  if (args.star != nullptr || args.star_star != nullptr) eval_stars(args, out);
  return out;
}

void Interpreter::eval_stars(const Arguments& args, CallArgs& out) {
  if (args.star != nullptr) {
    for (Value& item : collect(budget_, eval(*args.star))) {
      out.positional.push_back(std::move(item));
    }
  }
  if (args.star_star == nullptr) return;
  const Value names = eval(*args.star_star);
  if (!names.is(Kind::dict)) {
    raise("TypeError", "argument after ** must be a mapping, not {}", type_name(names));
  }
  for (const auto& [key, value] : names.as<Dict>().items) {
    budget_.step();
    if (!key.is_string()) raise("TypeError", "keywords must be strings");
    if (out.find(key.bytes()) != nullptr) {
      raise("TypeError", "got multiple values for keyword argument {}", quoted_short(key.bytes()));
    }
    budget_.step(out.named.size() / 32);
    out.named.emplace_back(key.text().bytes, value);
  }
}

}  // namespace weir::jinja
