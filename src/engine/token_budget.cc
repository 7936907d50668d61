#include "engine/token_budget.h"

#include <algorithm>
#include <cmath>

namespace weir {
namespace {

constexpr int64_t kMeasureEvery = 32;  // mixed steps
constexpr double kFewestAlone = 32;    // tokens; fewer would waste reading the weights
constexpr int64_t kFirst = 4;          // tokens, while it is not known what one costs
constexpr double kNewShare = 0.25;     // of a new time in the running mean

/// Running mean that one hiccup of the machine cannot throw far off.
void learn(double& mean, double value) {
  if (mean <= 0)
    mean = value;
  else
    mean += kNewShare * (std::clamp(value, mean / 4, mean * 4) - mean);
}

}  // namespace

double TokenBudget::plain_seconds(int64_t decoding) const {
  const auto n = static_cast<size_t>(decoding);
  for (size_t i = std::min(n, plain_.size() - 1) + 1; i-- > 1;)  // fewer streams take less
    if (plain_[i] > 0) return plain_[i];
  return 0;
}

int64_t TokenBudget::prompt_tokens(int64_t decoding, int64_t most) {
  if (most <= 0) return 0;
  if (decoding == 0) {
    const double guess = per_token_alone_ > 0 ? longest_ / per_token_alone_ : 0;
    const double tokens = std::isinf(longest_) ? longest_ : std::max(guess, kFewestAlone);
    return static_cast<int64_t>(std::min(tokens, static_cast<double>(most)));
  }
  if (plain_.empty()) plain_.resize(1);
  const double plain = plain_seconds(decoding);
  const bool known =
      static_cast<size_t>(decoding) < plain_.size() && plain_[static_cast<size_t>(decoding)] > 0;
  if (mixed_ >= kMeasureEvery || plain <= 0 || (!known && mixed_ > 0)) return 0;
  if (per_token_ <= 0) return std::min(most, kFirst);
  const double tokens = std::floor((ratio_ - 1) * plain / per_token_);
  return std::clamp(static_cast<int64_t>(std::min(tokens, 1e9)), int64_t{1}, most);
}

void TokenBudget::record(int64_t decoding, int64_t prompt_tokens, double seconds) {
  if (seconds <= 0 || decoding + prompt_tokens == 0) return;
  if (decoding == 0) {
    const double one = seconds / static_cast<double>(prompt_tokens);
    learn(per_token_alone_, one);
    if (per_token_ <= 0) per_token_ = one;
    return;
  }
  const auto n = static_cast<size_t>(decoding);
  if (plain_.size() <= n) plain_.resize(n + 1);
  if (prompt_tokens == 0) {
    learn(plain_[n], seconds);
    mixed_ = 0;
    return;
  }
  ++mixed_;
  const double plain = plain_seconds(decoding);
  if (plain <= 0) return;
  // Never zero: a step that was quicker than a plain one says little.
  learn(per_token_, std::max(seconds - plain, seconds / 100) / static_cast<double>(prompt_tokens));
}

}  // namespace weir
