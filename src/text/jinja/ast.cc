#include "text/jinja/ast.h"

#include "text/jinja/repr.h"

namespace weir::jinja {

std::string describe(const Node& node, const Program& program) {
  switch (node.kind) {
    case NodeKind::name:
      return fmt::format("variable {}",
                         quoted_short(program.names[static_cast<const Name&>(node).id]));
    case NodeKind::dict:
      return "a dict literal";
    case NodeKind::list:
    case NodeKind::tuple:
      return "a list literal";
    case NodeKind::attribute:
      return fmt::format("attribute {}", quoted_short(static_cast<const Attribute&>(node).name));
    case NodeKind::item:
      return "a subscript";
    case NodeKind::slice:
      return "a slice";
    case NodeKind::call: {
      const Node& callee = *static_cast<const Call&>(node).callee;
      if (callee.kind == NodeKind::name) {
        return fmt::format("call of {}",
                           quoted_short(program.names[static_cast<const Name&>(callee).id]));
      }
      if (callee.kind == NodeKind::attribute) {
        return fmt::format("call of {}", quoted_short(static_cast<const Attribute&>(callee).name));
      }
      return "a call";
    }
    case NodeKind::filter:
      return fmt::format("filter {}", quoted_short(static_cast<const Apply&>(node).name));
    case NodeKind::test:
      return fmt::format("test {}", quoted_short(static_cast<const Apply&>(node).name));
    case NodeKind::unary:
      return static_cast<const Unary&>(node).negate ? "unary operator -" : "unary operator +";
    case NodeKind::binary: {
      constexpr const char* kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};
      return fmt::format("operator {}",
                         kSigns[static_cast<int>(static_cast<const Binary&>(node).op)]);
    }
    case NodeKind::concat:
      return "operator ~";
    case NodeKind::compare:
      return "a comparison";
    case NodeKind::logic:
      return static_cast<const Logic&>(node).all ? "operator and" : "operator or";
    case NodeKind::negation:
      return "operator not";
    case NodeKind::conditional:
      return "an inline if";
    case NodeKind::set:
    case NodeKind::set_block:
      return "{% set %}";
    case NodeKind::if_else:
      return "{% if %}";
    case NodeKind::for_loop:
      return "{% for %}";
    case NodeKind::macro:
      return fmt::format("macro {}", quoted_short(static_cast<const Macro&>(node).name));
    case NodeKind::call_block:
      return "{% call %}";
    case NodeKind::filter_block:
      return "{% filter %}";
    case NodeKind::with:
      return "{% with %}";
    case NodeKind::scope_block:
      return "{% generation %}";
    case NodeKind::break_loop:
      return "{% break %}";
    case NodeKind::continue_loop:
      return "{% continue %}";
    default:
      return "an output expression";
  }
}

}  // namespace weir::jinja
