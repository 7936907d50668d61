// The normaliser: what happens to a text before it is cut into words. A list of steps, run in
// order.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/charsmap.h"
#include "text/regex.h"
#include "text/vocabulary_spec.h"

namespace weir {

class Normalizer {
 public:
  explicit Normalizer(const std::vector<NormalizerStep>& steps);

  bool empty() const { return steps_.empty(); }
  /// Linear in the length of the text, up to the growth that the steps themselves ask for.
  std::string apply(std::string_view text, RegexScratch& scratch) const;

 private:
  struct Step {
    NormalizerStep spec;
    std::unique_ptr<Charsmap> charsmap;
    std::unique_ptr<Regex> regex;
  };
  std::vector<Step> steps_;
};

}  // namespace weir
