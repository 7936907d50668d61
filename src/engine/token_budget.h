// How many prompt tokens may join a step without making running streams wait: chosen such that a
// mixed step takes at most a given multiple of a step without them, from the times that steps took.
// Owns that estimate; refuses clocks and requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace weir {

class TokenBudget {
 public:
  /// `ratio`: a mixed step may take so many times a plain one. `longest`: seconds that a step
  /// without streams may take, so that who comes or goes is not kept waiting.
  explicit TokenBudget(double ratio, double longest = std::numeric_limits<double>::infinity())
      : ratio_(ratio), longest_(longest) {}

  /// Takes the memory for so many streams now.
  void expect_streams(int64_t most) { plain_.reserve(static_cast<size_t>(most) + 1); }

  /// Prompt tokens for a step in which `decoding` streams get a token, 0 to `most`: at least one,
  /// so that a prompt goes on whatever it costs, but 0 now and then, to measure a plain step.
  int64_t prompt_tokens(int64_t decoding, int64_t most);

  /// A step took `seconds`.
  void record(int64_t decoding, int64_t prompt_tokens, double seconds);

 private:
  double plain_seconds(int64_t decoding) const;  // 0: not known

  double ratio_, longest_;
  std::vector<double> plain_;   // [n]: seconds of a step with n streams alone; 0: not known
  double per_token_ = 0;        // seconds that a prompt token adds; 0: not known
  double per_token_alone_ = 0;  // seconds a prompt token takes in a step without streams
  int64_t mixed_ = 0;           // steps since the last plain one
};

}  // namespace weir
