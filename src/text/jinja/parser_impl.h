// The parser's state and its two halves: expressions (parse_expression.cc) and statements
// (parse_statement.cc). Only those two files include this.
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace weir::jinja {

class Parser {
 public:
  Parser(std::vector<Token> tokens, int depth);
  std::shared_ptr<const Program> run();

 private:
  // One level of nesting while it lives.
  class Nested {
   public:
    explicit Nested(Parser& parser) : parser_(parser) { parser_.enter(); }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    ~Nested() { --parser_.depth_; }

   private:
    Parser& parser_;
  };

  // Around a body: whether unknown filters in it wait until they are used (soft, as in an if), how
  // many loops of the same function surround it (for break and continue).
  struct Context {
    bool soft = false;
    int loops = 0;
  };
  class Within {
   public:
    Within(Parser& parser, Context context) : parser_(parser), saved_(parser.context_) {
      parser_.context_ = context;
    }
    Within(const Within&) = delete;
    Within& operator=(const Within&) = delete;
    ~Within() { parser_.context_ = saved_; }

   private:
    Parser& parser_;
    Context saved_;
  };

  struct Unknown {
    int line;
    std::string what;
  };

  // tokens
  const Token& current() const { return tokens_[at_]; }
  const Token& following() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  int line() const { return current().line; }
  void next() { at_ += at_ + 1 < tokens_.size() ? 1 : 0; }
  bool is_sign(std::string_view sign) const {
    return current().kind == TokenKind::sign && current().text == sign;
  }
  bool is_name(std::string_view name) const {
    return current().kind == TokenKind::name && current().text == name;
  }
  bool skip_sign(std::string_view sign);
  bool skip_name(std::string_view name);
  void expect_sign(std::string_view sign);
  void expect_name(std::string_view name);
  std::string expect_any_name();
  void expect(TokenKind kind, std::string_view what);
  [[noreturn]] void unexpected(std::string_view wanted) const;

  // tree
  template <typename T, typename... Args>
  T* make(Args&&... args) {
    auto node = std::make_unique<T>(std::forward<Args>(args)...);
    T* raw = node.get();
    program_->nodes.push_back(std::move(node));
    return raw;
  }
  NameId intern(const std::string& name);
  void enter();
  void note_use(const std::string& name);

  // expressions
  Expr parse_expression();  // with the inline if
  Expr parse_or();
  Expr parse_and();
  Expr parse_not();
  Expr parse_compare();
  Expr parse_binary(int level);
  Expr parse_concat(Expr first, int at);
  Expr parse_unary(bool with_filter);
  Expr parse_primary();
  Expr parse_postfix(Expr node);
  Expr parse_filter_expr(Expr node);
  Expr parse_subscript(Expr node);
  Expr parse_subscribed();
  Expr parse_filter_chain(Expr node, bool first_without_pipe);
  Expr parse_one_filter(Expr node);
  Expr parse_test(Expr node);
  Expr parse_list();
  Expr parse_dict();
  Expr parse_tuple(bool with_condition, bool parentheses, std::string_view end_name = {});
  bool at_tuple_end(std::string_view end_name) const;
  Arguments parse_arguments();
  void parse_argument(Arguments& args, int at);

  // statements
  Body parse_body(std::initializer_list<std::string_view> ends);
  Body parse_body_until(std::string_view end);
  const Node* parse_statement();
  const Node* parse_set();
  const Node* parse_for();
  const Node* parse_if();
  const Node* parse_with();
  const Node* parse_macro();
  const Node* parse_call_block();
  const Node* parse_filter_block();
  const Node* parse_print();
  const Node* parse_generation();
  const Node* parse_jump(NodeKind kind);
  void parse_signature(Macro& macro);
  void parse_macro_body(Macro& macro, std::string_view end);
  Target parse_target(bool with_namespace, std::string_view end_name = {});
  Target parse_one_target();
  Target store(const std::string& name, int at);

  const std::vector<Token> tokens_;
  const int limit_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int for_depth_ = 0;  // all loops around, across macros
  Context context_;
  std::vector<Macro*> macros_;  // around, innermost last
  std::vector<For*> loops_;     // around, innermost last
  std::vector<std::string> open_tags_;
  std::vector<Unknown> unknown_;  // filters and tests that are refused if no condition guards them
  std::map<std::string, NameId, std::less<>> ids_;
  std::shared_ptr<Program> program_ = std::make_shared<Program>();
};

}  // namespace weir::jinja
