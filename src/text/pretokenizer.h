// The pre-tokenizer: cuts a normalised text into the words that the model encodes one by one. A
// list of steps; each cuts the pieces of the one before. Pieces are handed on as they are found, so
// the memory does not grow with their number.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/vocabulary_spec.h"

namespace weir {

class PreTokenizer {
 public:
  /// Throws bad_format (a pattern) or limit_exceeded (more than 32 steps).
  explicit PreTokenizer(const std::vector<PreTokenizerStep>& steps);

  using Sink = std::function<void(std::string_view word)>;
  /// `first`: the text starts the whole input (metaspace with Prepend::first asks). Bytes that are
  /// not UTF-8 stand as words of their own between the words of the valid parts.
  void for_each_word(std::string_view text, bool first, RegexScratch& scratch,
                     const Sink& sink) const;

 private:
  struct Step {
    PreTokenizerStep spec;
    std::unique_ptr<Regex> regex;
  };
  struct Run;
  void run(size_t step, std::string_view piece, bool first, const Run& context) const;
  void split(size_t step, std::string_view piece, bool first, const Run& context) const;
  void metaspace(size_t step, std::string_view piece, bool first, const Run& context) const;

  std::vector<Step> steps_;
};

}  // namespace weir
