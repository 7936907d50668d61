// The interpreter's guards: how deep evaluation may nest, and which scope is current.
#pragma once

#include <memory>
#include <utility>

#include "text/jinja/interpreter.h"

namespace weir::jinja {

/// Nested evaluations on the stack; each takes well under 500 bytes of it, see the stack test.
inline constexpr int kMaxLevels = 300;

class Interpreter::Level {
 public:
  explicit Level(Interpreter& in) : in_(in) {
    if (++in_.levels_ > kMaxLevels) {
      --in_.levels_;
      throw LimitHit{fmt::format("evaluation is nested deeper than {} levels", kMaxLevels)};
    }
  }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;
  ~Level() { --in_.levels_; }

 private:
  Interpreter& in_;
};

class Interpreter::Entered {
 public:
  Entered(Interpreter& in, std::shared_ptr<Scope> scope)
      : in_(in), saved_(std::exchange(in.scope_, std::move(scope))) {}
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  ~Entered() { in_.scope_ = std::move(saved_); }

 private:
  Interpreter& in_;
  std::shared_ptr<Scope> saved_;
};

}  // namespace weir::jinja
