// Expressions: Jinja's precedence, from the inline if down to names and literals.
#include <array>

#include "base/error.h"
#include "text/jinja/filters.h"
#include "text/jinja/parser_impl.h"
#include "text/jinja/repr.h"

namespace weir::jinja {
namespace {

struct Operator {
  std::string_view sign;
  int level;  // binds tighter when larger
  BinaryOp op;
};

constexpr std::size_t kMaxKeywords = 1000;  // in one call
constexpr int kConcatLevel = 2;
constexpr std::array<Operator, 8> kOperators = {{
    {"+", 1, BinaryOp::add},
    {"-", 1, BinaryOp::sub},
    {"~", kConcatLevel, BinaryOp::add},
    {"*", 3, BinaryOp::mul},
    {"/", 3, BinaryOp::div},
    {"//", 3, BinaryOp::floordiv},
    {"%", 3, BinaryOp::mod},
    {"**", 4, BinaryOp::pow},
}};

const Operator* find_operator(const Token& token) {
  if (token.kind != TokenKind::sign) return nullptr;
  for (const Operator& candidate : kOperators) {
    if (candidate.sign == token.text) return &candidate;
  }
  return nullptr;
}

struct Comparison {
  std::string_view sign;
  CompareOp op;
};
constexpr std::array<Comparison, 6> kComparisons = {{
    {"==", CompareOp::eq},
    {"!=", CompareOp::ne},
    {"<", CompareOp::lt},
    {"<=", CompareOp::le},
    {">", CompareOp::gt},
    {">=", CompareOp::ge},
}};

}  // namespace

Expr Parser::parse_expression() {
  const Nested nested(*this);
  const int at = line();
  const std::size_t unknown_before = unknown_.size();
  Expr value = parse_or();
  while (skip_name("if")) {
    const Expr test = parse_or();
    const Expr otherwise = skip_name("else") ? parse_expression() : nullptr;
    value = make<Conditional>(test, value, otherwise, at);
    unknown_.resize(unknown_before);  // a condition guards them now
  }
  return value;
}

Expr Parser::parse_or() {
  const int at = line();
  const Expr first = parse_and();
  if (!is_name("or")) return first;
  std::vector<Expr> items = {first};
  while (skip_name("or")) items.push_back(parse_and());
  return make<Logic>(false, std::move(items), at);
}

Expr Parser::parse_and() {
  const int at = line();
  const Expr first = parse_not();
  if (!is_name("and")) return first;
  std::vector<Expr> items = {first};
  while (skip_name("and")) items.push_back(parse_not());
  return make<Logic>(true, std::move(items), at);
}

Expr Parser::parse_not() {
  if (!is_name("not")) return parse_compare();
  const Nested nested(*this);
  const int at = line();
  next();
  return make<Negation>(parse_not(), at);
}

Expr Parser::parse_compare() {
  const int at = line();
  const Expr first = parse_binary(1);
  Compare* node = nullptr;
  const auto add = [&](CompareOp op, int tokens) {
    for (int i = 0; i < tokens; ++i) next();
    if (node == nullptr) node = make<Compare>(first, at);
    node->rest.emplace_back(op, parse_binary(1));
  };
  while (true) {
    const Token& token = current();
    if (token.kind == TokenKind::sign) {
      const Comparison* found = nullptr;
      for (const Comparison& candidate : kComparisons) {
        if (candidate.sign == token.text) found = &candidate;
      }
      if (found == nullptr) break;
      add(found->op, 1);
    } else if (is_name("in")) {
      add(CompareOp::in, 1);
    } else if (is_name("not") && following().kind == TokenKind::name && following().text == "in") {
      add(CompareOp::not_in, 2);
    } else {
      break;
    }
  }
  return node == nullptr ? first : node;
}

Expr Parser::parse_binary(int level) {
  const int at = line();
  Expr left = parse_unary(true);
  while (const Operator* found = find_operator(current())) {
    if (found->level < level) break;
    if (found->level == kConcatLevel) {
      left = parse_concat(left, at);
      continue;
    }
    next();
    left = make<Binary>(found->op, left, parse_binary(found->level + 1), at);
  }
  return left;
}

Expr Parser::parse_concat(Expr first, int at) {
  std::vector<Expr> items = {first};
  while (skip_sign("~")) items.push_back(parse_binary(kConcatLevel + 1));
  return make<ListNode>(NodeKind::concat, std::move(items), at);
}

Expr Parser::parse_unary(bool with_filter) {
  const int at = line();
  Expr node = nullptr;
  if (is_sign("-") || is_sign("+")) {
    const Nested nested(*this);
    const bool minus = is_sign("-");
    next();
    node = make<Unary>(minus, parse_unary(false), at);
  } else {
    node = parse_primary();
  }
  node = parse_postfix(node);
  return with_filter ? parse_filter_expr(node) : node;
}

Expr Parser::parse_primary() {
  const Token& token = current();
  const int at = token.line;
  switch (token.kind) {
    case TokenKind::name: {
      next();
      const std::string& text = token.text;
      if (text == "true" || text == "True") return make<Constant>(Value::boolean(true), at);
      if (text == "false" || text == "False") return make<Constant>(Value::boolean(false), at);
      if (text == "none" || text == "None") return make<Constant>(Value(), at);
      note_use(text);
      return make<Name>(intern(text), at);
    }
    case TokenKind::string: {
      std::string text = token.text;
      next();
      while (current().kind == TokenKind::string) {
        text += current().text;
        next();
      }
      return make<Constant>(Value::constant(std::move(text)), at);
    }
    case TokenKind::integer:
      next();
      return make<Constant>(Value::integer(token.integer), at);
    case TokenKind::real:
      next();
      return make<Constant>(Value::real(token.real), at);
    default:
      break;
  }
  if (is_sign("(")) {
    next();
    const Expr node = parse_tuple(true, true);
    expect_sign(")");
    return node;
  }
  if (is_sign("[")) return parse_list();
  if (is_sign("{")) return parse_dict();
  unexpected("an expression");
}

bool Parser::at_tuple_end(std::string_view end_name) const {
  return current().kind == TokenKind::variable_end || current().kind == TokenKind::block_end ||
         is_sign(")") || (!end_name.empty() && is_name(end_name));
}

Expr Parser::parse_tuple(bool with_condition, bool parentheses, std::string_view end_name) {
  const int at = line();
  std::vector<Expr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_sign(",");
    if (at_tuple_end(end_name)) break;
    items.push_back(with_condition ? parse_expression() : parse_or());
    if (!is_sign(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return items[0];
    if (!parentheses) unexpected("an expression");
  }
  return make<ListNode>(NodeKind::tuple, std::move(items), at);
}

Expr Parser::parse_list() {
  const int at = line();
  expect_sign("[");
  std::vector<Expr> items;
  while (!is_sign("]")) {
    if (!items.empty()) expect_sign(",");
    if (is_sign("]")) break;
    items.push_back(parse_expression());
  }
  expect_sign("]");
  return make<ListNode>(NodeKind::list, std::move(items), at);
}

Expr Parser::parse_dict() {
  auto* node = make<DictLiteral>(line());
  expect_sign("{");
  while (!is_sign("}")) {
    if (!node->items.empty()) expect_sign(",");
    if (is_sign("}")) break;
    const Expr key = parse_expression();
    expect_sign(":");
    node->items.emplace_back(key, parse_expression());
  }
  expect_sign("}");
  return node;
}

Expr Parser::parse_postfix(Expr node) {
  while (true) {
    if (is_sign(".") || is_sign("[")) {
      node = parse_subscript(node);
    } else if (is_sign("(")) {
      const int at = line();
      node = make<Call>(node, parse_arguments(), at);
    } else {
      return node;
    }
  }
}

Expr Parser::parse_filter_expr(Expr node) {
  while (true) {
    if (is_sign("|")) {
      node = parse_filter_chain(node, false);
    } else if (is_name("is")) {
      node = parse_test(node);
    } else if (is_sign("(")) {
      const int at = line();
      node = make<Call>(node, parse_arguments(), at);
    } else {
      return node;
    }
  }
}

Expr Parser::parse_subscript(Expr node) {
  const int at = line();
  if (skip_sign(".")) {
    const Token& token = current();
    next();
    if (token.kind == TokenKind::name) return make<Attribute>(node, token.text, at);
    if (token.kind != TokenKind::integer) {
      syntax_error(token.line,
                   fmt::format("expected a name or number after '.', found {}", describe(token)));
    }
    const Expr index = make<Constant>(Value::integer(token.integer), at);
    return make<Item>(node, index, at);
  }
  expect_sign("[");
  std::vector<Expr> keys;
  while (!is_sign("]")) {
    if (!keys.empty()) expect_sign(",");
    keys.push_back(parse_subscribed());
  }
  expect_sign("]");
  if (keys.size() == 1) return make<Item>(node, keys[0], at);
  for (const Expr key : keys) {
    if (key->kind == NodeKind::slice) syntax_error(at, "a subscript may hold one slice only");
  }
  return make<Item>(node, make<ListNode>(NodeKind::tuple, std::move(keys), at), at);
}

Expr Parser::parse_subscribed() {
  const int at = line();
  const auto part = [&]() -> Expr {
    if (is_sign(":") || is_sign("]") || is_sign(",")) return nullptr;
    return parse_expression();
  };
  const Expr first = is_sign(":") ? nullptr : parse_expression();
  if (!skip_sign(":")) return first;
  auto* node = make<Slice>(at);
  node->start = first;
  node->stop = part();
  if (skip_sign(":")) node->step = part();
  return node;
}

Arguments Parser::parse_arguments() {
  const int at = line();
  expect_sign("(");
  Arguments args;
  bool comma = false;
  while (!is_sign(")")) {
    if (comma) {
      expect_sign(",");
      if (is_sign(")")) break;
    }
    parse_argument(args, at);
    comma = true;
  }
  expect_sign(")");
  return args;
}

void Parser::parse_argument(Arguments& args, int at) {
  const auto require = [&](bool condition) {
    if (!condition) syntax_error(at, "invalid order of arguments in a call");
  };
  if (skip_sign("*")) {
    require(args.star == nullptr && args.star_star == nullptr);
    args.star = parse_expression();
  } else if (skip_sign("**")) {
    require(args.star_star == nullptr);
    args.star_star = parse_expression();
  } else if (current().kind == TokenKind::name && following().kind == TokenKind::sign &&
             following().text == "=") {
    require(args.star_star == nullptr);
    std::string name = current().text;
    for (const auto& [other, value] : args.named) {
      if (other == name) syntax_error(at, fmt::format("keyword argument repeated: {}", name));
    }
    next();
    next();
    if (args.named.size() == kMaxKeywords) {
      syntax_error(at, fmt::format("more than {} keyword arguments", kMaxKeywords));
    }
    const Expr value = parse_expression();
    args.named.emplace_back(std::move(name), value);
  } else {
    require(args.star == nullptr && args.star_star == nullptr && args.named.empty());
    args.positional.push_back(parse_expression());
  }
}

Expr Parser::parse_filter_chain(Expr node, bool first_without_pipe) {
  if (first_without_pipe) node = parse_one_filter(node);
  while (skip_sign("|")) node = parse_one_filter(node);
  return node;
}

Expr Parser::parse_one_filter(Expr node) {
  const int at = line();
  std::string name = expect_any_name();
  while (skip_sign(".")) name += "." + expect_any_name();
  Arguments args;
  if (is_sign("(")) args = parse_arguments();
  const int entry = find_filter(name);
  if (entry < 0 && !context_.soft) {
    unknown_.push_back({at, fmt::format("no filter named {}", quoted_short(name))});
  }
  return make<Apply>(NodeKind::filter, node, std::move(name), std::move(args), entry, at);
}

Expr Parser::parse_test(Expr node) {
  const int at = line();
  next();
  const bool negated = skip_name("not");
  std::string name = expect_any_name();
  while (skip_sign(".")) name += "." + expect_any_name();
  Arguments args;
  const TokenKind kind = current().kind;
  if (is_sign("(")) {
    args = parse_arguments();
  } else if ((kind == TokenKind::name || kind == TokenKind::string || kind == TokenKind::integer ||
              kind == TokenKind::real || is_sign("[") || is_sign("{")) &&
             !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) syntax_error(at, "tests with 'is' cannot be chained");
    const Nested nested(*this);
    args.positional.push_back(parse_postfix(parse_primary()));
  }
  const int entry = find_test(name);
  if (entry < 0 && !context_.soft) {
    unknown_.push_back({at, fmt::format("no test named {}", quoted_short(name))});
  }
  const Expr test = make<Apply>(NodeKind::test, node, std::move(name), std::move(args), entry, at);
  return negated ? make<Negation>(test, at) : test;
}

}  // namespace weir::jinja
