// A compiled PCRE2 pattern (UTF, Unicode classes, JIT). The JIT's stack and the match data are on
// the heap, in a scratch that one call of the tokenizer owns, so that no input grows the thread's
// stack. A match that passes its step limit is an error, never a different answer.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct pcre2_real_code_8;

namespace weir {

class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;

 private:
  friend class Regex;
  struct State;
  std::unique_ptr<State> state_;
};

class Regex {
 public:
  /// `^` and `$` match at line ends, as in the Oniguruma syntax of tokenizer.json. Throws
  /// bad_format with the place and reason if the pattern does not compile.
  explicit Regex(const std::string& pattern);

  struct Span {
    size_t begin = 0, end = 0;
  };
  /// The first match in `subject` (valid UTF-8) at or after `from`. Throws limit_exceeded.
  bool find(std::string_view subject, size_t from, RegexScratch& scratch, Span& match) const;

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::unique_ptr<pcre2_real_code_8, Free> code_;
  std::string pattern_;
  bool jit_ = false;
};

}  // namespace weir
