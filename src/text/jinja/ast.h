// The syntax tree of a template. Nodes live in one arena (Template owns it) and point at each
// other, so that no input can make their destruction recurse.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/ops.h"
#include "text/jinja/value.h"

namespace weir::jinja {

using NameId = std::uint32_t;

// Names that the language itself binds; the parser interns them first.
inline constexpr NameId kLoopName = 0;
inline constexpr NameId kCallerName = 1;
inline constexpr NameId kKwargsName = 2;
inline constexpr NameId kVarargsName = 3;

enum class NodeKind : std::uint8_t {
  // expressions
  constant,
  name,
  list,
  tuple,
  dict,
  attribute,
  item,
  slice,
  call,
  filter,
  test,
  unary,
  binary,
  concat,
  compare,
  logic,
  negation,
  conditional,
  // statements
  output,
  set,
  set_block,
  if_else,
  for_loop,
  macro,
  call_block,
  filter_block,
  with,
  scope_block,
  break_loop,
  continue_loop,
};

struct Node {
  Node(NodeKind k, int at) : kind(k), line(at) {}
  virtual ~Node() = default;
  const NodeKind kind;
  const int line;
};

using Expr = const Node*;
using Body = std::vector<const Node*>;

struct Constant : Node {
  Constant(Value v, int at) : Node(NodeKind::constant, at), value(std::move(v)) {}
  const Value value;
};

struct Name : Node {
  Name(NameId n, int at) : Node(NodeKind::name, at), id(n) {}
  const NameId id;
};

/// A list or tuple.
struct ListNode : Node {
  ListNode(NodeKind k, std::vector<Expr> e, int at) : Node(k, at), items(std::move(e)) {}
  const std::vector<Expr> items;
};

struct DictLiteral : Node {
  explicit DictLiteral(int at) : Node(NodeKind::dict, at) {}
  std::vector<std::pair<Expr, Expr>> items;
};

struct Attribute : Node {
  Attribute(Expr o, std::string n, int at)
      : Node(NodeKind::attribute, at), object(o), name(std::move(n)) {}
  const Expr object;
  const std::string name;
};

struct Item : Node {
  Item(Expr o, Expr k, int at) : Node(NodeKind::item, at), object(o), key(k) {}
  const Expr object;
  const Expr key;  // a Slice for object[a:b:c]
};

struct Slice : Node {
  explicit Slice(int at) : Node(NodeKind::slice, at) {}
  Expr start = nullptr;
  Expr stop = nullptr;
  Expr step = nullptr;
};

struct Arguments {
  std::vector<Expr> positional;
  std::vector<std::pair<std::string, Expr>> named;
  Expr star = nullptr;
  Expr star_star = nullptr;
};

struct Call : Node {
  Call(Expr c, Arguments a, int at) : Node(NodeKind::call, at), callee(c), args(std::move(a)) {}
  const Expr callee;
  const Arguments args;
};

/// A filter or a test. `entry` is its row in the table, or -1: then using it fails.
struct Apply : Node {
  Apply(NodeKind k, Expr o, std::string n, Arguments a, int e, int at)
      : Node(k, at), object(o), name(std::move(n)), args(std::move(a)), entry(e) {}
  const Expr object;  // null in a filter block: the text of the block
  const std::string name;
  const Arguments args;
  const int entry;
};

struct Unary : Node {
  Unary(bool minus, Expr o, int at) : Node(NodeKind::unary, at), negate(minus), operand(o) {}
  const bool negate;
  const Expr operand;
};

struct Binary : Node {
  Binary(BinaryOp o, Expr l, Expr r, int at)
      : Node(NodeKind::binary, at), op(o), left(l), right(r) {}
  const BinaryOp op;
  const Expr left;
  const Expr right;
};

struct Compare : Node {
  Compare(Expr f, int at) : Node(NodeKind::compare, at), first(f) {}
  const Expr first;
  std::vector<std::pair<CompareOp, Expr>> rest;
};

/// a and b and …, a or b or …
struct Logic : Node {
  Logic(bool conjunction, std::vector<Expr> e, int at)
      : Node(NodeKind::logic, at), all(conjunction), items(std::move(e)) {}
  const bool all;
  const std::vector<Expr> items;
};

struct Negation : Node {
  Negation(Expr o, int at) : Node(NodeKind::negation, at), operand(o) {}
  const Expr operand;
};

struct Conditional : Node {
  Conditional(Expr t, Expr y, Expr n, int at)
      : Node(NodeKind::conditional, at), test(t), yes(y), no(n) {}
  const Expr test;
  const Expr yes;
  const Expr no;  // may be null
};

/// What a value can be assigned to: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  NameId name = 0;
  std::string attribute;  // set: name.attribute
  std::vector<Target> parts;
  bool is_tuple = false;
  int line = 0;
};

struct Output : Node {
  explicit Output(int at) : Node(NodeKind::output, at) {}
  std::vector<Expr> items;  // template text is a Constant
};

struct Set : Node {
  Set(Target t, Expr v, int at) : Node(NodeKind::set, at), target(std::move(t)), value(v) {}
  const Target target;
  const Expr value;
};

struct SetBlock : Node {
  SetBlock(Target t, Expr f, int at)
      : Node(NodeKind::set_block, at), target(std::move(t)), filter(f) {}
  const Target target;
  const Expr filter;  // chain of Apply whose innermost object is null; may be null
  Body body;
};

struct If : Node {
  explicit If(int at) : Node(NodeKind::if_else, at) {}
  std::vector<std::pair<Expr, Body>> branches;
  Body otherwise;
};

struct For : Node {
  explicit For(int at) : Node(NodeKind::for_loop, at) {}
  Target target;
  Expr iterable = nullptr;
  Expr test = nullptr;
  bool recursive = false;
  bool uses_loop = false;
  Body body;
  Body otherwise;
};

struct Macro : Node {
  Macro(NodeKind k, int at) : Node(k, at) {}
  std::string name;  // empty for the body of a call block
  NameId id = 0;
  std::vector<std::pair<NameId, std::string>> parameters;
  std::vector<Expr> defaults;  // of the last parameters
  bool uses_caller = false;
  bool uses_kwargs = false;
  bool uses_varargs = false;
  const Call* call = nullptr;  // of a call block
  Body body;
};

struct FilterBlock : Node {
  FilterBlock(Expr f, int at) : Node(NodeKind::filter_block, at), filter(f) {}
  const Expr filter;
  Body body;
};

struct With : Node {
  explicit With(int at) : Node(NodeKind::with, at) {}
  std::vector<std::pair<Target, Expr>> bindings;
  Body body;
};

/// A body with its own scope and nothing else: {% generation %}.
struct ScopeBlock : Node {
  explicit ScopeBlock(int at) : Node(NodeKind::scope_block, at) {}
  Body body;
};

struct Jump : Node {
  using Node::Node;
};

/// A parsed template. Immutable; may be rendered by many threads at once.
struct Program {
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<std::string> names;  // by NameId
  Body body;
};

/// The construct a node stands for, for error messages: "filter 'tojson'", "{% for %}".
std::string describe(const Node& node, const Program& program);

}  // namespace weir::jinja
