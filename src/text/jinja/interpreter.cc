// Scopes, statements and output. Expressions are in evaluate.cc, calls in call.cc.
#include "text/jinja/interpreter.h"

#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/levels.h"
#include "text/jinja/loop.h"
#include "text/jinja/repr.h"

namespace weir::jinja {
namespace {

constexpr std::size_t kIndexFrom = 16;  // a linear search is faster below
constexpr int kMaxScopes = 256;         // parents of one scope; far beyond what nesting can make
constexpr std::size_t kScopeBytes = sizeof(Scope) + 256;  // with a few variables

}  // namespace

Scope::Scope(std::shared_ptr<Scope> parent)
    : parent_(std::move(parent)), depth_(parent_ == nullptr ? 0 : parent_->depth_ + 1) {
  if (depth_ > kMaxScopes) throw LimitHit{fmt::format("more than {} nested scopes", kMaxScopes)};
}

std::size_t Scope::position(NameId id) const {
  if (variables_.size() >= kIndexFrom) {
    const auto found = index_.find(id);
    return found == index_.end() ? variables_.size() : found->second;
  }
  std::size_t at = 0;
  while (at < variables_.size() && variables_[at].first != id) ++at;
  return at;
}

const Value* Scope::find(NameId id) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent_.get()) {
    const std::size_t at = scope->position(id);
    if (at < scope->variables_.size()) return &scope->variables_[at].second;
  }
  return nullptr;
}

void Scope::set(NameId id, Value value) {
  const std::size_t at = position(id);
  if (at < variables_.size()) {
    std::swap(variables_[at].second, value);
    return;
  }
  variables_.emplace_back(id, std::move(value));
  if (variables_.size() == kIndexFrom) {
    for (std::size_t i = 0; i < variables_.size(); ++i) index_.emplace(variables_[i].first, i);
  } else if (variables_.size() > kIndexFrom) {
    index_.emplace(id, at);
  }
}

void Scope::clear() {
  // Out of the object first: what dies here may look at this scope again.
  index_.clear();
  const auto variables = std::exchange(variables_, {});
  const auto parent = std::exchange(parent_, nullptr);
}

Interpreter::Interpreter(const Program& program, Budget& budget, const std::tm& now)
    : program_(program), budget_(budget), now_(now), root_(std::make_shared<Scope>(nullptr)) {
  const auto& known = functions();
  for (std::size_t i = 0; i < known.size(); ++i) {
    define(known[i].name, Value::function(static_cast<int>(i)));
  }
  scope_ = std::make_shared<Scope>(root_);
}

Interpreter::~Interpreter() {
  for (const auto& space : namespaces_) {
    const auto fields = std::exchange(static_cast<Namespace&>(*space).fields, {});
  }
  for (const auto& scope : captured_) scope->clear();
  scope_->clear();
  root_->clear();
}

void Interpreter::define(std::string_view name, const Value& value) {
  const auto found = std::find(program_.names.begin(), program_.names.end(), name);
  if (found == program_.names.end()) return;  // the template never mentions it
  root_->set(static_cast<NameId>(found - program_.names.begin()), value);
}

void Interpreter::run(TextBuilder& out) {
  out_ = &out;
  run_body(program_.body);
}

Value Interpreter::make_namespace() {
  auto space = std::make_shared<Namespace>(&budget_);
  space->charge(sizeof(std::shared_ptr<Object>) * 2);
  namespaces_.push_back(space);
  return Value(Kind::space, std::move(space));
}

Interpreter::Flow Interpreter::run_body(const Body& body) {
  const Level level(*this);
  for (const Node* node : body) {
    const Flow flow = run_node(*node);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_node(const Node& node) {
  budget_.step();
  current_ = &node;
  switch (node.kind) {
    case NodeKind::output:
      run_output(static_cast<const Output&>(node));
      return Flow::normal;
    case NodeKind::set: {
      const auto& set = static_cast<const Set&>(node);
      assign(set.target, eval(*set.value));
      return Flow::normal;
    }
    case NodeKind::if_else:
      return run_if(static_cast<const If&>(node));
    case NodeKind::for_loop:
      return run_for(static_cast<const For&>(node));
    case NodeKind::set_block:
      return run_set_block(static_cast<const SetBlock&>(node));
    case NodeKind::filter_block:
      return run_filter_block(static_cast<const FilterBlock&>(node));
    case NodeKind::with:
      return run_with(static_cast<const With&>(node));
    case NodeKind::scope_block: {
      const Entered entered(*this, std::make_shared<Scope>(scope_));
      return run_body(static_cast<const ScopeBlock&>(node).body);
    }
    case NodeKind::macro: {
      const auto& macro = static_cast<const Macro&>(node);
      scope_->set(macro.id, make_macro(macro));
      return Flow::normal;
    }
    case NodeKind::call_block:
      run_call_block(static_cast<const Macro&>(node));
      return Flow::normal;
    case NodeKind::break_loop:
      return Flow::break_loop;
    default:
      return Flow::continue_loop;
  }
}

void Interpreter::emit(const Value& value) {
  out_->append(to_text(budget_, value).text());
  if (out_->size() > budget_.limits().output) {
    throw LimitHit{fmt::format("the output is longer than {} bytes", budget_.limits().output)};
  }
}

void Interpreter::run_output(const Output& node) {
  for (const Expr item : node.items) {
    if (item->kind == NodeKind::constant) {
      emit(static_cast<const Constant*>(item)->value);
    } else {
      current_ = item;
      const Value value = eval(*item);
      current_ = item;
      emit(value);
    }
  }
}

Interpreter::Flow Interpreter::run_if(const If& node) {
  for (const auto& [test, body] : node.branches) {
    if (truthy(eval(*test))) return run_body(body);
  }
  return node.otherwise.empty() ? Flow::normal : run_body(node.otherwise);
}

Interpreter::Flow Interpreter::run_for(const For& node) {
  const Value iterable = eval(*node.iterable);
  current_ = &node;
  if (!node.recursive) return run_loop(node, iterable, 0);
  // The reference renders a recursive loop as a function: into its own buffer.
  TextBuilder text(budget_);
  TextBuilder* const outer = std::exchange(out_, &text);
  const Flow flow = run_loop(node, iterable, 0);
  out_ = outer;
  emit(text.take());
  return flow;
}

Interpreter::Flow Interpreter::run_loop(const For& node, const Value& iterable, int level) {
  const std::shared_ptr<Scope> around = scope_;
  const auto passes = [this, &node, around](const Value& item) {
    const Entered entered(*this, std::make_shared<Scope>(around));
    assign(node.target, item);
    return truthy(eval(*node.test));
  };
  auto loop = std::make_shared<Loop>(budget_, iterable,
                                     node.test != nullptr ? Loop::Filter(passes) : nullptr, level);
  if (node.recursive) {
    loop->node = &node;
    loop->scope = around;
  }
  // Whatever keeps the loop object alive must not pull items through the filter later.
  struct Finish {
    Loop& loop;
    ~Finish() { loop.finish(); }
  } const finish{*loop};
  bool completed = false;  // some iteration ran to its end: then there is no else
  Value item;
  while (loop->advance(item)) {
    budget_.step();
    const Entered entered(*this, std::make_shared<Scope>(around));
    assign(node.target, item);
    if (node.uses_loop) {
      scope_->set(kLoopName, Value(Kind::loop, loop));
    }
    const Flow flow = run_body(node.body);
    if (flow == Flow::break_loop) break;
    if (flow == Flow::normal) completed = true;
  }
  if (completed || node.otherwise.empty()) return Flow::normal;
  const Entered entered(*this, std::make_shared<Scope>(around));
  return run_body(node.otherwise);
}

Interpreter::Flow Interpreter::run_with(const With& node) {
  std::vector<Value> values;
  for (const auto& [target, expression] : node.bindings) values.push_back(eval(*expression));
  const Entered entered(*this, std::make_shared<Scope>(scope_));
  for (std::size_t i = 0; i < values.size(); ++i) assign(node.bindings[i].first, values[i]);
  return run_body(node.body);
}

Interpreter::Flow Interpreter::run_set_block(const SetBlock& node) {
  TextBuilder text(budget_);
  Value value;
  {
    const Entered entered(*this, std::make_shared<Scope>(scope_));
    TextBuilder* const outer = std::exchange(out_, &text);
    const Flow flow = run_body(node.body);
    out_ = outer;
    if (flow != Flow::normal) return flow;
    value = text.take();
    if (node.filter != nullptr) {
      value = eval_apply(static_cast<const Apply&>(*node.filter), &value);
    }
  }
  current_ = &node;
  assign(node.target, value);
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_filter_block(const FilterBlock& node) {
  const Entered entered(*this, std::make_shared<Scope>(scope_));
  TextBuilder text(budget_);
  TextBuilder* const outer = std::exchange(out_, &text);
  const Flow flow = run_body(node.body);
  out_ = outer;
  if (flow != Flow::normal) return flow;
  const Value block = text.take();
  emit(eval_apply(static_cast<const Apply&>(*node.filter), &block));
  return Flow::normal;
}

void Interpreter::run_call_block(const Macro& node) {
  const Value caller = make_macro(node);
  emit(eval_call(*node.call, &caller));
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (target.is_tuple) {
    unpack(target, value);
  } else if (target.attribute.empty()) {
    scope_->set(target.name, value);
  } else {
    const Value* space = scope_->find(target.name);
    if (space == nullptr || !space->is(Kind::space)) {
      raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
    }
    auto& fields = space->as<Namespace>();
    budget_.step(fields.fields.size() / 32);
    fields.set(target.attribute, value);
  }
}

void Interpreter::unpack(const Target& target, const Value& value) {
  if (!is_iterable(value)) {
    raise("TypeError", "cannot unpack non-iterable {} object", type_name(value));
  }
  const std::size_t wanted = target.parts.size();
  Cursor cursor(value);
  std::vector<Value> items;
  Value item;
  while (cursor.next(budget_, item)) {
    if (items.size() == wanted) {
      raise("ValueError", "too many values to unpack (expected {})", wanted);
    }
    items.push_back(item);
  }
  if (items.size() < wanted) {
    raise("ValueError", "not enough values to unpack (expected {}, got {})", wanted, items.size());
  }
  for (std::size_t i = 0; i < wanted; ++i) assign(target.parts[i], items[i]);
}

Value Interpreter::make_macro(const Macro& node) {
  if (!scope_->captured) {
    scope_->captured = true;
    budget_.take(kScopeBytes);  // for good: it is kept to the end
    captured_.push_back(scope_);
  }
  auto macro = std::make_shared<MacroValue>(&budget_, node, scope_);
  return Value(Kind::macro, std::move(macro));
}

}  // namespace weir::jinja
