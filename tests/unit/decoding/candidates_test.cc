// decoding/candidates.h: each truncation against its definition, done plainly with full sorts in
// double precision.
#include "decoding/candidates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"

namespace weir {
namespace {

using testing::ElementsAre;

struct Plain {
  int32_t id;
  double logit;
  double p;
};

// The set sorted by probability with its softmax.
std::vector<Plain> softmax(std::vector<Plain> set) {
  std::sort(set.begin(), set.end(), [](const Plain& a, const Plain& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
  double sum = 0;
  for (auto& item : set) sum += item.p = std::exp(item.logit - set[0].logit);
  for (auto& item : set) item.p /= sum;
  return set;
}

std::vector<Plain> plain(const std::vector<float>& logits) {
  std::vector<Plain> set;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isfinite(logits[i])) set.push_back({static_cast<int32_t>(i), logits[i], 0});
  }
  return softmax(set);
}

std::set<int32_t> first_of_mass(const std::vector<Plain>& set, double share) {
  std::set<int32_t> result;
  double sum = 0;
  for (const auto& item : set) {
    result.insert(item.id);
    sum += item.p;
    if (sum >= share) break;
  }
  return result;
}

std::set<int32_t> ids(const CandidateSet& set) {
  std::set<int32_t> result;
  for (const auto& item : set.items()) result.insert(item.id);
  return result;
}

// Wide and narrow, with ties.
std::vector<float> random_logits(std::mt19937& engine, size_t n) {
  const float spread = engine() % 2 == 0 ? 2.0f : 20.0f;
  const bool ties = engine() % 3 == 0;
  std::vector<float> logits(n);
  for (float& v : logits) {
    v = (static_cast<float>(engine()) * 0x1p-32f - 0.5f) * spread;
    if (ties) v = std::round(v);
  }
  return logits;
}

// Runs `keep` on random sets and compares with `expected`, which may give nothing where rounding
// could decide.
void compare(const std::function<void(CandidateSet&, double)>& keep,
             const std::function<std::set<int32_t>(const std::vector<Plain>&, double)>& expected) {
  std::mt19937 engine(3);
  int cut = 0;
  for (int round = 0; round < 2000; ++round) {
    const auto logits = random_logits(engine, 1 + engine() % 300);
    const double parameter = (static_cast<double>(engine() % 1000) + 0.5) / 1000;
    CandidateSet set;
    set.fill(logits, 0);
    keep(set, parameter);
    const auto reference = expected(plain(logits), parameter);
    if (reference.empty()) continue;
    ASSERT_EQ(ids(set), reference) << "round " << round << " parameter " << parameter;
    uint64_t total = 0;
    for (const uint64_t mass : set.masses()) total += mass;
    ASSERT_EQ(total, set.total());
    ASSERT_EQ(set.masses().size(), set.items().size());
    cut += reference.size() < logits.size();
  }
  EXPECT_GT(cut, 1000);
}

TEST(SelectTop, TiesGoToTheLowerId) {
  std::mt19937 engine(1);
  for (int round = 0; round < 500; ++round) {
    auto logits = random_logits(engine, 1 + engine() % 2000);
    if (round % 5 == 0) std::sort(logits.begin(), logits.end());
    if (round % 7 == 0) logits[0] = -std::numeric_limits<float>::infinity();
    const size_t k = 1 + engine() % 60;
    const auto sorted = plain(logits);
    if (sorted.empty()) continue;
    std::set<int32_t> expected;
    for (size_t i = 0; i < std::min(k, sorted.size()); ++i) expected.insert(sorted[i].id);
    CandidateSet set;
    set.fill(logits, k);
    ASSERT_EQ(ids(set), expected) << round;
  }
}

TEST(CandidateSet, HandWorked) {
  // Probabilities 0.5, 0.25, 0.125, 0.125.
  const float ln2 = std::log(2.0f);
  const std::vector<float> logits = {-2 * ln2, -ln2, -3 * ln2, -3 * ln2};
  CandidateSet set;
  const auto after = [&](auto action) {
    set.fill(logits, 0);
    action();
    return ids(set);
  };
  EXPECT_THAT(after([] {}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(after([&] { set.keep_top_p(0.49); }), ElementsAre(1));
  EXPECT_THAT(after([&] { set.keep_top_p(0.51); }), ElementsAre(0, 1));
  EXPECT_THAT(after([&] { set.keep_top_p(0.8); }), ElementsAre(0, 1, 2));
  EXPECT_THAT(after([&] { set.keep_top_p(0); }), ElementsAre(1));
  EXPECT_THAT(after([&] { set.keep_min_p(0.49); }), ElementsAre(0, 1));
  EXPECT_THAT(after([&] { set.keep_min_p(1); }), ElementsAre(1));
  EXPECT_THAT(after([&] { set.exclude_top(0.2); }), ElementsAre(0, 2, 3));
  EXPECT_THAT(after([&] { set.exclude_top(0.3); }), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(after([&] { set.exclude_top(0.9); }), ElementsAre(0, 1, 2, 3));
  // Entropy 1.75 bits; surprises 1, 2, 3, 3: the nearest is 2, then 1.
  EXPECT_THAT(after([&] { set.keep_typical(0.2); }), ElementsAre(0));
  EXPECT_THAT(after([&] { set.keep_typical(0.7); }), ElementsAre(0, 1));
  EXPECT_THAT(after([&] { set.keep_probable(0.2); }), ElementsAre(0, 1));
  EXPECT_THAT(after([&] { set.keep_probable(0.9); }), ElementsAre(1));
}

TEST(CandidateSet, TopPAgainstDefinition) {
  compare([](CandidateSet& set, double p) { set.keep_top_p(p); },
          [](const std::vector<Plain>& set, double p) { return first_of_mass(set, p); });
}

TEST(CandidateSet, MinPAgainstDefinition) {
  compare([](CandidateSet& set, double p) { set.keep_min_p(p); },
          [](const std::vector<Plain>& set, double p) {
            std::set<int32_t> result;
            for (const auto& item : set) {
              if (item.p >= p * set[0].p) result.insert(item.id);
            }
            return result;
          });
}

TEST(CandidateSet, TypicalAgainstDefinition) {
  compare([](CandidateSet& set, double p) { set.keep_typical(p); },
          [](std::vector<Plain> set, double p) {
            double entropy = 0;
            for (const auto& item : set) entropy -= item.p * std::log(item.p);
            const auto distance = [&](const Plain& item) {
              return std::fabs(-std::log(item.p) - entropy);
            };
            std::stable_sort(set.begin(), set.end(), [&](const Plain& a, const Plain& b) {
              return distance(a) < distance(b) - 1e-9;
            });
            // Two tokens at the same distance on both sides: rounding decides.
            for (size_t i = 1; i < set.size(); ++i) {
              if (set[i].logit != set[i - 1].logit &&
                  std::fabs(distance(set[i]) - distance(set[i - 1])) < 1e-5) {
                return std::set<int32_t>{};
              }
            }
            return first_of_mass(set, p);
          });
}

TEST(CandidateSet, XtcAgainstDefinition) {
  compare([](CandidateSet& set, double p) { set.exclude_top(p / 10); },
          [](const std::vector<Plain>& set, double p) {
            // A token goes if the next one meets the threshold too.
            std::set<int32_t> result;
            for (size_t i = 0; i < set.size(); ++i) {
              const bool next_meets = i + 1 < set.size() && set[i + 1].p >= p / 10;
              if (!next_meets) result.insert(set[i].id);
            }
            return result;
          });
}

TEST(CandidateSet, ProbableAgainstDefinition) {
  compare([](CandidateSet& set, double p) { set.keep_probable(p / 10); },
          [](const std::vector<Plain>& set, double p) {
            std::set<int32_t> result = {set[0].id};
            for (const auto& item : set) {
              if (item.p >= p / 10) result.insert(item.id);
            }
            return result;
          });
}

TEST(CandidateSet, PickFollowsTheOrderOfIds) {
  std::mt19937 engine(9);
  for (int round = 0; round < 300; ++round) {
    const auto logits = random_logits(engine, 1 + engine() % 50);
    CandidateSet set;
    set.fill(logits, 0);
    if (round % 2 == 0) set.keep_top_p(0.9);
    std::vector<std::pair<int32_t, uint64_t>> sorted;
    for (size_t i = 0; i < set.items().size(); ++i) {
      sorted.emplace_back(set.items()[i].id, set.masses()[i]);
    }
    std::sort(sorted.begin(), sorted.end());
    uint64_t below = 0;
    for (const auto& [id, mass] : sorted) {
      if (mass > 0) {
        ASSERT_EQ(set.pick(below).item.id, id);
        ASSERT_EQ(set.pick(below + mass - 1).item.id, id);
        ASSERT_EQ(set.pick(below).mass, mass);
      }
      below += mass;
    }
    ASSERT_THROW(set.pick(below), Error);
  }
}

TEST(CandidateSet, EverythingBannedIsAnError) {
  CandidateSet set;
  const std::vector<float> logits(10, -std::numeric_limits<float>::infinity());
  EXPECT_THROW(set.fill(logits, 0), Error);
  EXPECT_THROW(set.fill(logits, 1), Error);
  EXPECT_THROW(set.fill(logits, 40), Error);
}

}  // namespace
}  // namespace weir
