#include "decoding/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/math.h"
#include "decoding/softmax.h"

namespace weir {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

// The mass that a share in [0, 1] of `total` comes to, rounded up; at least 1, at most total.
uint64_t share_of(uint64_t total, double share) {
  const double mass = std::ceil(static_cast<double>(total) * share);
  if (mass >= static_cast<double>(total)) return total;
  return std::max<uint64_t>(1, static_cast<uint64_t>(mass));
}

}  // namespace

void select_top(std::span<const float> logits, size_t k, std::vector<Candidate>& result) {
  result.clear();
  if (k == 0 || k >= logits.size() / 4) {
    for (size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] != kBanned) result.push_back({static_cast<int32_t>(i), logits[i]});
    }
    if (k == 0 || k >= result.size()) return;
    std::nth_element(result.begin(), result.begin() + static_cast<ptrdiff_t>(k), result.end(),
                     likelier);
    result.resize(k);
    return;
  }
  // One pass with a rising bar: what is not above the k-th best so far cannot enter. A later token
  // that equals the bar has a higher id, so it loses the tie.
  const size_t room = k + std::max<size_t>(k, 64);
  result.reserve(room);
  float bar = kBanned;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > bar)) continue;
    result.push_back({static_cast<int32_t>(i), logits[i]});
    if (result.size() < room) continue;
    std::nth_element(result.begin(), result.begin() + static_cast<ptrdiff_t>(k - 1), result.end(),
                     likelier);
    result.resize(k);
    bar = result.back().logit;
  }
  if (result.size() > k) {
    std::nth_element(result.begin(), result.begin() + static_cast<ptrdiff_t>(k), result.end(),
                     likelier);
    result.resize(k);
  }
}

void fail_all_banned(size_t vocab_size) {
  fail(Code::invalid_argument,
       "no token is left to choose from: logit_bias or a constraint bans all {}", vocab_size);
}

void CandidateSet::fill(std::span<const float> logits, size_t top_k) {
  temperature_ = 1;
  select_top(logits, top_k, items_);
  if (items_.empty()) fail_all_banned(logits.size());
  weigh();
}

void CandidateSet::weigh() {
  logits_.resize(items_.size());
  std::transform(items_.begin(), items_.end(), logits_.begin(),
                 [](const Candidate& item) { return item.logit; });
  top_ = largest(logits_);
  masses_.resize(items_.size());
  weir::masses(logits_, top_, temperature_, masses_);
  total_ = std::accumulate(masses_.begin(), masses_.end(), uint64_t{0});
}

void CandidateSet::set_temperature(float temperature) {
  if (temperature == temperature_) return;
  temperature_ = temperature;
  weigh();
}

// Keeps those for which keep(item, mass); at least one must be.
template <typename Keep>
void CandidateSet::filter(Keep keep) {
  size_t kept = 0;
  uint64_t total = 0;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (!keep(items_[i], masses_[i])) continue;
    items_[kept] = items_[i];
    masses_[kept] = masses_[i];
    total += masses_[i];
    ++kept;
  }
  items_.resize(kept);
  masses_.resize(kept);
  total_ = total;
}

// Puts the items of mass >= `floor`, which have `needed` mass together or more, in scratch_, so
// that its first n items are the fewest, in the order `before`, whose masses reach `needed`, and
// the last of these stands at n - 1; returns n. Each step partitions the half in which the border
// lies, which takes linear time in all.
template <typename Before>
size_t CandidateSet::split_by_mass(uint64_t needed, uint64_t floor, Before before) {
  scratch_.resize(items_.size());
  size_t copied = 0;
  for (size_t i = 0; i < items_.size(); ++i) {
    scratch_[copied] = {items_[i], masses_[i]};
    copied += masses_[i] >= floor;
  }
  scratch_.resize(copied);
  const auto begin = scratch_.begin();
  size_t low = 0, high = scratch_.size();
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    const auto first = begin + static_cast<ptrdiff_t>(low);
    const auto split = begin + static_cast<ptrdiff_t>(middle);
    std::nth_element(
        first, split, begin + static_cast<ptrdiff_t>(high),
        [&before](const Weighed& a, const Weighed& b) { return before(a.item, b.item); });
    const uint64_t mass = std::accumulate(
        first, split, uint64_t{0}, [](uint64_t sum, const Weighed& w) { return sum + w.mass; });
    if (mass >= needed) {
      high = middle;
    } else {
      needed -= mass;
      low = middle;
    }
  }
  return high;
}

template <typename Before>
void CandidateSet::keep_mass(uint64_t needed, uint64_t floor, Before before) {
  const size_t kept = split_by_mass(needed, floor, before);
  items_.resize(kept);
  masses_.resize(kept);
  total_ = 0;
  for (size_t i = 0; i < kept; ++i) {
    items_[i] = scratch_[i].item;
    masses_[i] = scratch_[i].mass;
    total_ += masses_[i];
  }
}

void CandidateSet::keep_typical(double p) {
  // The surprise of a token is ln Z + d, d = top - logit, and its expectation ln Z + E[d]; so the
  // distance between the two is |d - E[d]|. E[d] is summed in whole numbers of 2^-66: exact.
  __extension__ using Wide = unsigned __int128;
  constexpr double kUnit = 0x1p24;
  Wide sum = 0;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (masses_[i] == 0) continue;  // far away, perhaps too far for the product
    const double distance = static_cast<double>(top_) - static_cast<double>(items_[i].logit);
    sum += Wide{masses_[i]} * static_cast<uint64_t>(distance * kUnit);
  }
  const double expected = static_cast<double>(sum / total_) / kUnit;
  const double top = top_;
  keep_mass(share_of(total_, p), 0, [expected, top](const Candidate& a, const Candidate& b) {
    const double x = std::fabs(top - static_cast<double>(a.logit) - expected);
    const double y = std::fabs(top - static_cast<double>(b.logit) - expected);
    return x != y ? x < y : likelier(a, b);
  });
  weigh();  // the likeliest may be gone, and small masses would be coarse
}

void CandidateSet::keep_top_p(double p) {
  const uint64_t needed = share_of(total_, p);
  // The tokens below the floor have at most total - needed together, so none of them is kept: the
  // long tail of a vocabulary goes before anything is ordered.
  const uint64_t floor = (total_ - needed) / items_.size() + 1;
  keep_mass(needed, floor, likelier);
}

void CandidateSet::keep_min_p(double min_p) {
  // p >= min_p * p_max is logit >= top + ln(min_p): no rounding of probabilities.
  const double bar = static_cast<double>(top_) + math::log(min_p);
  filter([bar](const Candidate& item, uint64_t) { return static_cast<double>(item.logit) >= bar; });
}

void CandidateSet::exclude_top(double threshold) {
  const uint64_t bar = share_of(total_, threshold);
  const Candidate* least = nullptr;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (masses_[i] >= bar && (least == nullptr || likelier(*least, items_[i]))) least = &items_[i];
  }
  if (least == nullptr) return;
  const Candidate limit = *least;
  filter([&limit](const Candidate& item, uint64_t) { return !likelier(item, limit); });
  weigh();
}

void CandidateSet::keep_probable(double probability) {
  const double bar = static_cast<double>(total_) * probability;
  const Candidate best = *std::min_element(items_.begin(), items_.end(), likelier);
  filter([&](const Candidate& item, uint64_t mass) {
    return static_cast<double>(mass) >= bar || item.id == best.id;
  });
}

CandidateSet::Weighed CandidateSet::pick(uint64_t mark) {
  WEIR_CHECK(mark < total_);
  const auto lower_id = [](const Candidate& a, const Candidate& b) { return a.id < b.id; };
  // A set that no selection has shuffled lies in order already.
  if (std::is_sorted(items_.begin(), items_.end(), lower_id)) {
    size_t i = 0;
    for (; mark >= masses_[i]; ++i) mark -= masses_[i];
    return {items_[i], masses_[i]};
  }
  return scratch_[split_by_mass(mark + 1, 1, lower_id) - 1];
}

}  // namespace weir
