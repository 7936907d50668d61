// The refusal of a prompt that the context does not hold, with both lengths as numbers, because the
// API dialects report them apart.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace weir {

/// Thrown by Engine::submit(), tokenize() and embed().
class PromptTooLong : public Error {
 public:
  PromptTooLong(int64_t tokens, int64_t context)
      : Error(Code::limit_exceeded,
              fmt::format("the prompt has {} tokens, the context holds {}; shorten it or ask for a "
                          "longer context",
                          tokens, context)),
        tokens_(tokens),
        context_(context) {}
  int64_t tokens() const { return tokens_; }
  int64_t context() const { return context_; }

 private:
  int64_t tokens_, context_;
};

}  // namespace weir
