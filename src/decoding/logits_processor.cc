#include "decoding/logits_processor.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/math.h"

namespace weir {
namespace {

// The last n tokens; n = -1 means all.
std::span<const int32_t> last(std::span<const int32_t> history, int32_t n) {
  if (n < 0 || static_cast<size_t>(n) >= history.size()) return history;
  return history.last(static_cast<size_t>(n));
}

// A number for each token of the vocabulary, zero but for a few; clearing costs as much as was set.
class TokenTable {
 public:
  explicit TokenTable(int32_t vocab_size) : values_(static_cast<size_t>(vocab_size)) {}

  int32_t& operator[](int32_t id) {
    WEIR_CHECK(id >= 0 && static_cast<size_t>(id) < values_.size(),
               "token {} of a vocabulary of {}", id, values_.size());
    int32_t& value = values_[static_cast<size_t>(id)];
    if (value == 0) used_.push_back(id);
    return value;
  }

  /// Calls use(id, value) for each non-zero value and sets it to zero.
  template <typename Use>
  void drain(Use use) {
    for (const int32_t id : used_) {
      int32_t& value = values_[static_cast<size_t>(id)];
      // An id that was looked up but left at zero may stand here more than once.
      if (value != 0) use(id, value);
      value = 0;
    }
    used_.clear();
  }

 private:
  std::vector<int32_t> values_;
  std::vector<int32_t> used_;
};

class LogitBias final : public LogitsProcessor {
 public:
  LogitBias(const std::map<int32_t, float>& bias, std::span<const int32_t> banned,
            int32_t vocab_size)
      : bias_(bias.begin(), bias.end()) {
    for (const int32_t id : banned) {
      bias_.emplace_back(id, -std::numeric_limits<float>::infinity());
    }
    for (const auto& [id, value] : bias_) {
      if (id < 0 || id >= vocab_size) {
        fail(Code::invalid_argument,
             "option 'logit_bias' must name token ids from 0 to {}, but got {}", vocab_size - 1,
             id);
      }
    }
  }

  void process(std::span<float> logits, std::span<const int32_t>) override {
    for (const auto& [id, value] : bias_) logits[static_cast<size_t>(id)] += value;
  }

 private:
  std::vector<std::pair<int32_t, float>> bias_;
};

class Penalties final : public LogitsProcessor {
 public:
  Penalties(const SamplingParams& params, int32_t vocab_size)
      : repeat_(params.repeat_penalty),
        presence_(params.presence_penalty),
        frequency_(params.frequency_penalty),
        last_n_(params.repeat_last_n),
        counts_(vocab_size) {}

  void process(std::span<float> logits, std::span<const int32_t> history) override {
    for (const int32_t id : last(history, last_n_)) ++counts_[id];
    counts_.drain([&](int32_t id, int32_t count) {
      float& logit = logits[static_cast<size_t>(id)];
      logit = logit > 0 ? logit / repeat_ : logit * repeat_;
      logit -= static_cast<float>(count) * frequency_ + presence_;
    });
  }

 private:
  float repeat_;
  float presence_;
  float frequency_;
  int32_t last_n_;
  TokenTable counts_;
};

class Dry final : public LogitsProcessor {
 public:
  Dry(const SamplingParams& params, std::vector<int32_t> breakers, int32_t vocab_size)
      : multiplier_(params.dry_multiplier),
        base_(params.dry_base),
        allowed_(params.dry_allowed_length),
        last_n_(params.dry_penalty_last_n),
        breakers_(std::move(breakers)),
        longest_(vocab_size) {}

  void process(std::span<float> logits, std::span<const int32_t> history) override {
    const auto window = last(history, last_n_);
    const auto reach = static_cast<size_t>(
        std::find_if(window.rbegin(), window.rend(), [this](int32_t id) { return breaks(id); }) -
        window.rbegin());
    if (window.size() < 2 || reach == 0) return;
    match_suffixes(window);
    for (size_t i = 1; i < window.size(); ++i) {
      // The text that ended i tokens ago ends like the text now; what followed it then?
      const auto length = static_cast<int32_t>(std::min(matches_[i], reach));
      const int32_t next = window[window.size() - i];
      if (length == 0 || length < allowed_ || breaks(next)) continue;
      int32_t& longest = longest_[next];
      longest = std::max(longest, length);
    }
    longest_.drain([&](int32_t id, int32_t length) {
      const double penalty = multiplier_ * math::pow(base_, length - allowed_);
      // Far below any logit, and finite.
      logits[static_cast<size_t>(id)] -= static_cast<float>(std::min(penalty, 1e30));
    });
  }

 private:
  bool breaks(int32_t id) const {
    return std::binary_search(breakers_.begin(), breakers_.end(), id);
  }

  // matches_[i]: how many tokens the window has in common with itself shortened by its last i
  // tokens, counted from the ends. The Z algorithm (Gusfield 1997, section 1.3) on the reversed
  // window: linear time.
  void match_suffixes(std::span<const int32_t> window) {
    const size_t n = window.size();
    matches_.resize(n);
    const auto at = [&](size_t i) { return window[n - 1 - i]; };
    matches_[0] = n;
    size_t left = 0, right = 0;
    for (size_t i = 1; i < n; ++i) {
      size_t length = i < right ? std::min(right - i, matches_[i - left]) : 0;
      while (i + length < n && at(length) == at(i + length)) ++length;
      matches_[i] = length;
      if (i + length > right) {
        left = i;
        right = i + length;
      }
    }
  }

  double multiplier_;
  double base_;
  int32_t allowed_;
  int32_t last_n_;
  std::vector<int32_t> breakers_;
  std::vector<size_t> matches_;
  TokenTable longest_;
};

}  // namespace

std::unique_ptr<LogitsProcessor> make_logit_bias(const std::map<int32_t, float>& bias,
                                                 std::span<const int32_t> banned,
                                                 int32_t vocab_size) {
  return std::make_unique<LogitBias>(bias, banned, vocab_size);
}

std::unique_ptr<LogitsProcessor> make_penalties(const SamplingParams& params, int32_t vocab_size) {
  return std::make_unique<Penalties>(params, vocab_size);
}

std::unique_ptr<LogitsProcessor> make_dry(const SamplingParams& params,
                                          std::vector<int32_t> breakers, int32_t vocab_size) {
  return std::make_unique<Dry>(params, std::move(breakers), vocab_size);
}

}  // namespace weir
