// Walks the tree of a template and renders it. One interpreter renders once. Scopes, macros and the
// call protocol are here; what operators, filters, tests and methods do is elsewhere.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/ops.h"

namespace weir::jinja {

class Loop;

/// Arguments of a call, evaluated.
struct CallArgs {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  const Value* find(std::string_view name) const;
};

/// Binds arguments to parameters as Python does, with its errors. `required` parameters come first.
class Bound {
 public:
  Bound(std::string_view function, const CallArgs& args,
        std::initializer_list<std::string_view> parameters, std::size_t required = 0);
  /// The argument for a parameter, or null if it was left out.
  const Value* operator[](std::size_t parameter) const { return values_[parameter]; }
  bool flag(std::size_t parameter, bool otherwise) const;
  std::int64_t integer(std::size_t parameter, std::int64_t otherwise) const;

 private:
  std::string function_;
  std::vector<const Value*> values_;
};

/// Variables of one frame: the template, a loop iteration, a macro call, a with block.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> parent);
  const Value* find(NameId id) const;
  void set(NameId id, Value value);
  /// Breaks the cycles that macros and namespaces can make.
  void clear();

  int depth() const { return depth_; }
  bool captured = false;  // by a macro; then the interpreter clears it at the end

 private:
  std::size_t position(NameId id) const;  // variables_.size() if it is not here

  std::shared_ptr<Scope> parent_;
  std::vector<std::pair<NameId, Value>> variables_;
  std::unordered_map<NameId, std::size_t> index_;  // only when there are many variables
  int depth_;
};

struct MacroValue : Object {
  MacroValue(Budget* owner, const Macro& of, std::shared_ptr<Scope> around)
      : Object(owner, sizeof(MacroValue) + of.name.size()),
        node(of),
        name(of.name),
        scope(std::move(around)) {}
  const Macro& node;
  const std::string name;
  const std::shared_ptr<Scope> scope;
};

class Interpreter {
 public:
  Interpreter(const Program& program, Budget& budget, const std::tm& now);
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;
  ~Interpreter();

  /// A variable of the context; overrides a global function of that name.
  void define(std::string_view name, const Value& value);
  void run(TextBuilder& out);
  /// The node at work, for error messages.
  const Node* current() const { return current_; }

  Budget& budget() { return budget_; }
  const std::tm& now() const { return now_; }
  Value make_namespace();
  Value call(const Value& callee, const CallArgs& args);
  Value apply_filter(std::string_view name, const Value& value, const CallArgs& args);
  bool apply_test(std::string_view name, const Value& value, const CallArgs& args);

 private:
  enum class Flow { normal, break_loop, continue_loop };
  class Level;
  class Entered;

  // statements
  Flow run_body(const Body& body);
  Flow run_node(const Node& node);
  void run_output(const Output& node);
  Flow run_if(const If& node);
  Flow run_for(const For& node);
  Flow run_loop(const For& node, const Value& iterable, int level);
  Flow run_with(const With& node);
  Flow run_set_block(const SetBlock& node);
  Flow run_filter_block(const FilterBlock& node);
  void run_call_block(const Macro& node);
  void assign(const Target& target, const Value& value);
  void unpack(const Target& target, const Value& value);
  void emit(const Value& value);

  // expressions
  Value eval(const Node& node);
  Value eval_name(const Name& node);
  Value eval_items(const ListNode& node);
  Value eval_concat(const ListNode& node);
  Value eval_dict(const DictLiteral& node);
  Value eval_item(const Item& node);
  Value eval_call(const Call& node, const Value* caller = nullptr);
  Value eval_apply(const Apply& node, const Value* block = nullptr);
  Value eval_binary(const Binary& node);
  Value eval_compare(const Compare& node);
  Value eval_logic(const Logic& node);
  Value eval_conditional(const Conditional& node);
  CallArgs eval_arguments(const Arguments& args);
  void eval_stars(const Arguments& args, CallArgs& out);

  // calls
  Value capture(const std::shared_ptr<Scope>& scope, const Body& body);
  Value make_macro(const Macro& node);
  Value call_macro(const MacroValue& macro, const CallArgs& args);
  void bind_macro(const MacroValue& macro, const CallArgs& args, Scope& scope);
  Value call_loop(Loop& loop, const CallArgs& args);

  const Program& program_;
  Budget& budget_;
  const std::tm now_;
  std::shared_ptr<Scope> root_;
  std::shared_ptr<Scope> scope_;
  TextBuilder* out_ = nullptr;
  const Node* current_ = nullptr;
  int levels_ = 0;
  int calls_ = 0;
  std::vector<std::shared_ptr<Scope>> captured_;
  std::vector<std::shared_ptr<Object>> namespaces_;
};

}  // namespace weir::jinja
