// Statements, bodies and assignment targets.
#include <algorithm>

#include "base/error.h"
#include "text/jinja/parser.h"
#include "text/jinja/parser_impl.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace weir::jinja {
namespace {

constexpr std::size_t kMaxSource = 1u << 20;
constexpr std::size_t kMaxParameters = 1000;

}  // namespace

std::shared_ptr<const Program> parse_program(std::string_view source, int depth) {
  if (source.size() > kMaxSource) {
    fail(Code::limit_exceeded, "a chat template may have at most {} bytes, this one has {}",
         kMaxSource, source.size());
  }
  if (!valid_utf8(source)) fail(Code::bad_format, "a chat template must be valid UTF-8");
  return Parser(tokenize(source), depth).run();
}

Parser::Parser(std::vector<Token> tokens, int depth) : tokens_(std::move(tokens)), limit_(depth) {
  for (const char* name : {"loop", "caller", "kwargs", "varargs"}) intern(name);
}

std::shared_ptr<const Program> Parser::run() {
  program_->body = parse_body({});
  if (!unknown_.empty()) syntax_error(unknown_[0].line, unknown_[0].what);
  return program_;
}

bool Parser::skip_sign(std::string_view sign) {
  if (!is_sign(sign)) return false;
  next();
  return true;
}

bool Parser::skip_name(std::string_view name) {
  if (!is_name(name)) return false;
  next();
  return true;
}

void Parser::expect_sign(std::string_view sign) {
  if (!skip_sign(sign)) unexpected(fmt::format("'{}'", sign));
}

void Parser::expect_name(std::string_view name) {
  if (!skip_name(name)) unexpected(fmt::format("'{}'", name));
}

std::string Parser::expect_any_name() {
  if (current().kind != TokenKind::name) unexpected("a name");
  std::string name = current().text;
  next();
  return name;
}

void Parser::expect(TokenKind kind, std::string_view what) {
  if (current().kind != kind) unexpected(what);
  next();
}

void Parser::unexpected(std::string_view wanted) const {
  std::string message = fmt::format("expected {}, found {}", wanted, describe(current()));
  if (!open_tags_.empty()) message += fmt::format(" (in {{% {} %}})", open_tags_.back());
  syntax_error(line(), message);
}

NameId Parser::intern(const std::string& name) {
  const auto [found, added] = ids_.emplace(name, static_cast<NameId>(program_->names.size()));
  if (added) program_->names.push_back(name);
  return found->second;
}

void Parser::enter() {
  if (++depth_ > limit_) {
    fail(Code::limit_exceeded, "chat template, line {}: nested deeper than the limit of {}", line(),
         limit_);
  }
}

void Parser::note_use(const std::string& name) {
  if (name == "loop") {
    for (For* loop : loops_) loop->uses_loop = true;
  }
  for (Macro* macro : macros_) {
    if (name == "caller") macro->uses_caller = true;
    if (name == "kwargs") macro->uses_kwargs = true;
    if (name == "varargs") macro->uses_varargs = true;
  }
}

// Statements up to one of the closing tags, whose name stays the current token; without closing
// tags up to the end of the template.
Body Parser::parse_body(std::initializer_list<std::string_view> ends) {
  const Nested nested(*this);
  Body body;
  Output* output = nullptr;
  const auto emit = [&](Expr item) {
    if (output == nullptr) {
      output = make<Output>(item->line);
      body.push_back(output);
    }
    output->items.push_back(item);
  };
  while (current().kind != TokenKind::end) {
    if (current().kind == TokenKind::data) {
      emit(make<Constant>(Value::constant(current().text), line()));
      next();
    } else if (current().kind == TokenKind::variable_begin) {
      next();
      emit(parse_tuple(true, false));
      expect(TokenKind::variable_end, "'}}'");
    } else {
      output = nullptr;
      expect(TokenKind::block_begin, "text or a tag");
      for (const std::string_view end : ends) {
        if (is_name(end)) return body;
      }
      body.push_back(parse_statement());
      expect(TokenKind::block_end, "'%}'");
    }
  }
  if (ends.size() > 0) unexpected(fmt::format("{{% {} %}}", *(ends.end() - 1)));
  return body;
}

// A body after the head of its tag; the closing tag is taken too.
Body Parser::parse_body_until(std::string_view end) {
  skip_sign(":");
  expect(TokenKind::block_end, "'%}'");
  Body body = parse_body({end});
  next();
  return body;
}

const Node* Parser::parse_statement() {
  if (current().kind != TokenKind::name) unexpected("the name of a tag");
  const int at = line();
  const std::string tag = current().text;
  open_tags_.push_back(tag);
  const Node* node = nullptr;
  if (tag == "set") {
    node = parse_set();
  } else if (tag == "for") {
    node = parse_for();
  } else if (tag == "if") {
    node = parse_if();
  } else if (tag == "with") {
    node = parse_with();
  } else if (tag == "macro") {
    node = parse_macro();
  } else if (tag == "call") {
    node = parse_call_block();
  } else if (tag == "filter") {
    node = parse_filter_block();
  } else if (tag == "print") {
    node = parse_print();
  } else if (tag == "generation") {
    node = parse_generation();
  } else if (tag == "break") {
    node = parse_jump(NodeKind::break_loop);
  } else if (tag == "continue") {
    node = parse_jump(NodeKind::continue_loop);
  } else if (tag == "block" || tag == "extends" || tag == "include" || tag == "import" ||
             tag == "from" || tag == "autoescape") {
    syntax_error(at, fmt::format("the tag '{}' is not supported: a chat template is one file "
                                 "without escaping",
                                 tag));
  } else {
    open_tags_.pop_back();
    std::string message = fmt::format("unknown tag {}", quoted_short(tag));
    if (!open_tags_.empty()) {
      message += fmt::format("; the innermost open block is '{}'", open_tags_.back());
    }
    syntax_error(at, message);
  }
  open_tags_.pop_back();
  return node;
}

const Node* Parser::parse_set() {
  const int at = line();
  next();
  Target target = parse_target(true);
  if (skip_sign("=")) return make<Set>(std::move(target), parse_tuple(true, false), at);
  Context inner = context_;
  inner.soft = false;
  const Within within(*this, inner);
  const Expr filter = is_sign("|") ? parse_filter_chain(nullptr, false) : nullptr;
  auto* node = make<SetBlock>(std::move(target), filter, at);
  node->body = parse_body_until("endset");
  return node;
}

const Node* Parser::parse_for() {
  auto* node = make<For>(line());
  next();
  // What a loop stores may not be called "loop", neither here nor further in.
  ++for_depth_;
  node->target = parse_target(false, "in");
  expect_name("in");
  node->iterable = parse_tuple(false, false, "recursive");
  Context inner = context_;
  inner.soft = false;
  const Within within(*this, inner);
  if (skip_name("if")) node->test = parse_expression();
  node->recursive = skip_name("recursive");
  node->uses_loop = node->recursive;
  skip_sign(":");
  expect(TokenKind::block_end, "'%}'");
  {
    loops_.push_back(node);
    ++context_.loops;
    node->body = parse_body({"else", "endfor"});
    --context_.loops;
    loops_.pop_back();
  }
  const bool has_else = is_name("else");
  next();
  if (has_else) node->otherwise = parse_body_until("endfor");
  --for_depth_;
  return node;
}

const Node* Parser::parse_if() {
  auto* node = make<If>(line());
  Context inner = context_;
  inner.soft = true;
  const Within within(*this, inner);
  while (true) {
    next();  // if, elif
    const Expr test = parse_tuple(false, false);
    skip_sign(":");
    expect(TokenKind::block_end, "'%}'");
    Body body = parse_body({"elif", "else", "endif"});
    node->branches.emplace_back(test, std::move(body));
    if (is_name("elif")) continue;
    const bool has_else = is_name("else");
    next();
    if (has_else) node->otherwise = parse_body_until("endif");
    return node;
  }
}

const Node* Parser::parse_with() {
  auto* node = make<With>(line());
  next();
  while (current().kind != TokenKind::block_end) {
    if (!node->bindings.empty()) expect_sign(",");
    Target target = parse_target(false);
    expect_sign("=");
    const Expr value = parse_expression();
    node->bindings.emplace_back(std::move(target), value);
  }
  Context inner = context_;
  inner.soft = false;
  const Within within(*this, inner);
  node->body = parse_body_until("endwith");
  return node;
}

void Parser::parse_signature(Macro& macro) {
  expect_sign("(");
  while (!is_sign(")")) {
    if (!macro.parameters.empty()) expect_sign(",");
    const int at = line();
    const std::string name = expect_any_name();
    for (const auto& [id, other] : macro.parameters) {
      if (other == name) syntax_error(at, fmt::format("duplicate parameter {}", quoted(name)));
    }
    if (macro.parameters.size() == kMaxParameters) {
      syntax_error(at, fmt::format("more than {} parameters", kMaxParameters));
    }
    if (skip_sign("=")) {
      macro.defaults.push_back(parse_expression());
    } else if (!macro.defaults.empty()) {
      syntax_error(at, "a parameter without default follows one with a default");
    }
    macro.parameters.emplace_back(intern(name), name);
  }
  expect_sign(")");
}

void Parser::parse_macro_body(Macro& macro, std::string_view end) {
  const Within within(*this, Context{});
  macros_.push_back(&macro);
  macro.body = parse_body_until(end);
  macros_.pop_back();
  const auto position =
      std::find_if(macro.parameters.begin(), macro.parameters.end(),
                   [](const auto& parameter) { return parameter.second == "caller"; });
  const auto required = macro.parameters.size() - macro.defaults.size();
  if (macro.uses_caller && position != macro.parameters.end() &&
      static_cast<std::size_t>(position - macro.parameters.begin()) < required) {
    syntax_error(macro.line, "the parameter 'caller' must be left out or have a default");
  }
}

const Node* Parser::parse_macro() {
  auto* node = make<Macro>(NodeKind::macro, line());
  next();
  const int at = line();
  node->name = expect_any_name();
  node->id = store(node->name, at).name;
  parse_signature(*node);
  parse_macro_body(*node, "endmacro");
  return node;
}

const Node* Parser::parse_call_block() {
  auto* node = make<Macro>(NodeKind::call_block, line());
  next();
  if (is_sign("(")) parse_signature(*node);
  const Expr call = parse_expression();
  if (call->kind != NodeKind::call) syntax_error(node->line, "{% call %} needs a call");
  node->call = static_cast<const Call*>(call);
  parse_macro_body(*node, "endcall");
  return node;
}

const Node* Parser::parse_filter_block() {
  const int at = line();
  next();
  Context inner = context_;
  inner.soft = false;
  const Within within(*this, inner);
  auto* node = make<FilterBlock>(parse_filter_chain(nullptr, true), at);
  node->body = parse_body_until("endfilter");
  return node;
}

const Node* Parser::parse_print() {
  auto* node = make<Output>(line());
  next();
  while (current().kind != TokenKind::block_end) {
    if (!node->items.empty()) expect_sign(",");
    node->items.push_back(parse_expression());
  }
  return node;
}

const Node* Parser::parse_generation() {
  auto* node = make<ScopeBlock>(line());
  next();
  const Within within(*this, Context{});  // a function of its own in the reference
  node->body = parse_body_until("endgeneration");
  return node;
}

const Node* Parser::parse_jump(NodeKind kind) {
  const int at = line();
  next();
  if (context_.loops == 0) {
    syntax_error(at, fmt::format("{} outside of a loop",
                                 kind == NodeKind::break_loop ? "break" : "continue"));
  }
  return make<Jump>(kind, at);
}

Target Parser::store(const std::string& name, int at) {
  if (name == "true" || name == "false" || name == "none" || name == "True" || name == "False" ||
      name == "None") {
    syntax_error(at, fmt::format("cannot assign to {}", name));
  }
  if (name == "loop" && for_depth_ > 0) {
    syntax_error(at, "cannot assign to the special variable 'loop' inside of a for loop");
  }
  Target target;
  target.name = intern(name);
  target.line = at;
  return target;
}

Target Parser::parse_one_target() {
  const Nested nested(*this);
  const int at = line();
  if (!skip_sign("(")) return store(expect_any_name(), at);
  Target target;
  target.is_tuple = true;
  target.line = at;
  bool comma = true;
  while (!is_sign(")")) {
    if (!comma) unexpected("','");
    target.parts.push_back(parse_one_target());
    comma = skip_sign(",");
  }
  expect_sign(")");
  if (target.parts.size() == 1 && !comma) return std::move(target.parts[0]);
  return target;
}

Target Parser::parse_target(bool with_namespace, std::string_view end_name) {
  const int at = line();
  if (with_namespace && following().kind == TokenKind::sign && following().text == ".") {
    const std::string name = expect_any_name();
    next();
    Target target;
    target.name = intern(name);
    target.line = at;
    target.attribute = expect_any_name();
    return target;
  }
  Target first = parse_one_target();
  if (!is_sign(",")) return first;
  Target target;
  target.is_tuple = true;
  target.line = at;
  target.parts.push_back(std::move(first));
  while (skip_sign(",")) {
    if (at_tuple_end(end_name) || is_sign("=")) break;
    target.parts.push_back(parse_one_target());
  }
  return target;
}

}  // namespace weir::jinja
