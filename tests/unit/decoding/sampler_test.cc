// decoding/sampler.h as a whole: probabilities, draws, order of processors, logprobs, determinism.
#include "decoding/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "unit/decoding/allocations.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SamplingParams plain_params(float temperature = 1) {
  SamplingParams params;
  params.temperature = temperature;
  params.top_k = 0;
  params.top_p = 1;
  params.min_p = 0;
  params.seed = 1;
  return params;
}

SamplerVocab vocab(size_t size) { return {static_cast<int32_t>(size), {}, {}}; }

std::vector<float> random_logits(size_t n, float spread, uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<float> result(n);
  for (float& v : result) v = (static_cast<float>(engine()) * 0x1p-32f - 0.5f) * spread;
  return result;
}

std::map<int32_t, double> probabilities(const SamplingParams& params,
                                        const std::vector<float>& logits,
                                        const std::vector<int32_t>& history = {},
                                        int64_t position = 0) {
  Sampler sampler(params, vocab(logits.size()));
  std::map<int32_t, double> result;
  for (const auto& [id, p] : sampler.probabilities(logits, history, position)) result[id] = p;
  return result;
}

TEST(Sampler, GreedyTakesTheLowestIdAmongEquals) {
  Sampler sampler(plain_params(0), vocab(6));
  const std::vector<float> logits = {-1, 3, 2, 3, 3, 0};
  EXPECT_EQ(sampler.sample(logits, {}, 0).id, 1);
  EXPECT_FALSE(sampler.sample(logits, {}, 0).logprob.has_value());
  // Penalties count, truncations do not.
  SamplingParams params = plain_params(0);
  params.repeat_penalty = 2;
  params.xtc_probability = 1;
  Sampler penalised(params, vocab(6));
  EXPECT_EQ(penalised.sample(logits, std::vector<int32_t>{1}, 0).id, 3);
}

TEST(Sampler, TemperatureIsSoftmaxOfTheQuotient) {
  const std::vector<float> logits = {1, 2, -0.5f, 0};
  for (const float temperature : {0.25f, 1.0f, 3.0f}) {
    const auto got = probabilities(plain_params(temperature), logits);
    double sum = 0;
    for (const float v : logits) sum += std::exp(static_cast<double>(v) / temperature);
    ASSERT_EQ(got.size(), 4u);
    for (const auto& [id, p] : got) {
      EXPECT_NEAR(p, std::exp(static_cast<double>(logits[id]) / temperature) / sum, 1e-6);
    }
  }
}

// Observed draws against probabilities(), for each processor alone and all together.
TEST(Sampler, DrawsFollowTheProbabilities) {
  const auto logits = random_logits(200, 6, 17);
  const std::vector<int32_t> history = {1, 2, 3, 1, 2, 3, 1, 2};
  std::map<std::string, SamplingParams> cases;
  cases["plain"] = plain_params();
  cases["hot"] = plain_params(1.7f);
  (cases["top_k"] = plain_params()).top_k = 20;
  (cases["top_p"] = plain_params()).top_p = 0.7f;
  (cases["min_p"] = plain_params()).min_p = 0.1f;
  (cases["typical"] = plain_params()).typical_p = 0.6f;
  (cases["repeat"] = plain_params()).repeat_penalty = 1.5f;
  (cases["presence"] = plain_params()).presence_penalty = 1;
  (cases["dry"] = plain_params()).dry_multiplier = 1;
  (cases["bias"] = plain_params()).logit_bias = {{5, 4.0f}, {6, -100.0f}};
  SamplingParams all;
  all.seed = 3;
  all.typical_p = 0.95f;
  all.repeat_penalty = 1.1f;
  all.dry_multiplier = 0.8f;
  cases["all"] = all;
  for (const auto& [name, params] : cases) {
    Sampler sampler(params, vocab(logits.size()));
    const auto expected = sampler.probabilities(logits, history, 0);
    constexpr int kDraws = 40000;
    std::map<int32_t, int> counts;
    for (int64_t i = 0; i < kDraws; ++i) ++counts[sampler.sample(logits, history, i).id];
    double chi2 = 0, rest_expected = 0;
    int bins = 0, seen = 0, rest_seen = 0;
    for (const auto& [id, p] : expected) {
      seen += counts[id];
      if (p * kDraws < 10) {  // too rare for a bin of its own
        rest_expected += p * kDraws;
        rest_seen += counts[id];
        continue;
      }
      chi2 += std::pow(counts[id] - p * kDraws, 2) / (p * kDraws);
      ++bins;
    }
    if (rest_expected >= 10) {
      chi2 += std::pow(rest_seen - rest_expected, 2) / rest_expected;
      ++bins;
    }
    EXPECT_EQ(seen, kDraws) << name << ": a token outside the set was drawn";
    ASSERT_GT(bins, 1) << name;
    // Four standard deviations of chi-square with bins - 1 degrees of freedom.
    EXPECT_LT(chi2, bins - 1 + 4 * std::sqrt(2.0 * (bins - 1)) + 4) << name;
  }
}

// The whole chain by hand: each step sees what the one before left.
TEST(Sampler, OrderOfProcessors) {
  // Softmax of the first four after the bias: 0.5, 0.25, 0.125, 0.125; the last is far behind.
  const float ln2 = std::log(2.0f);
  const std::vector<float> logits = {-ln2 - 1, -2 * ln2, -3 * ln2, -3 * ln2 - 0.01f, -9};
  SamplingParams params = plain_params(2);
  params.logit_bias = {{0, 1.0f}};
  params.top_k = 3;     // leaves 0, 1, 2: 4/7, 2/7, 1/7
  params.top_p = 0.8f;  // of these 6/7 >= 0.8: leaves 0, 1
  const auto got = probabilities(params, logits);
  // Temperature comes last: sqrt(2) : 1.
  ASSERT_EQ(got.size(), 2u);
  EXPECT_NEAR(got.at(0), std::sqrt(2.0) / (1 + std::sqrt(2.0)), 1e-6);
  EXPECT_NEAR(got.at(1), 1 / (1 + std::sqrt(2.0)), 1e-6);
  // Without top-k, 0.75 < 0.8 and the third stays.
  params.top_k = 0;
  EXPECT_EQ(probabilities(params, logits).size(), 3u);
}

TEST(Sampler, XtcActsWithItsProbability) {
  const auto logits = random_logits(20, 1, 4);
  SamplingParams params = plain_params();
  params.xtc_threshold = 0.04f;
  params.xtc_probability = 0.3f;
  Sampler sampler(params, vocab(logits.size()));
  int excluded = 0;
  constexpr int kRounds = 20000;
  for (int64_t i = 0; i < kRounds; ++i) {
    excluded += sampler.probabilities(logits, {}, i).size() < logits.size();
  }
  EXPECT_NEAR(excluded / static_cast<double>(kRounds), 0.3, 4 * std::sqrt(0.21 / kRounds));
  params.xtc_probability = 1;
  EXPECT_LT(probabilities(params, logits).size(), logits.size());
  params.xtc_threshold = 0.51f;
  EXPECT_EQ(probabilities(params, logits).size(), logits.size());
}

// Algorithm 2 of Basu et al. (mirostat 2.0), in plain doubles, following the sampler's own draws.
TEST(Sampler, MirostatFollowsTheAlgorithm) {
  SamplingParams params = plain_params(0.9f);
  params.mirostat = 2;
  params.mirostat_tau = 5;
  params.mirostat_eta = 0.2f;
  params.top_k = 1;  // does not apply
  Sampler sampler(params, vocab(500));
  double mu = 10, average = 0;
  constexpr int kSteps = 400;
  for (int64_t step = 0; step < kSteps; ++step) {
    const auto logits = random_logits(500, 24, static_cast<uint32_t>(step));
    ASSERT_NEAR(sampler.mirostat_mu(), mu, 1e-3) << step;
    std::vector<double> p(logits.size());
    double sum = 0;
    for (size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp(logits[i] / 0.9f);
    size_t kept = 0;
    const double best = *std::max_element(p.begin(), p.end());
    for (double& v : p) {
      const bool is_best = v == best;
      v /= sum;
      kept += is_best || -std::log2(v) <= mu;
    }
    const auto got = sampler.probabilities(logits, {}, step);
    ASSERT_NEAR(static_cast<double>(got.size()), static_cast<double>(kept), 1);
    const auto id = static_cast<size_t>(sampler.sample(logits, {}, step).id);
    const double surprise = -std::log2(p[id]);
    mu -= static_cast<double>(params.mirostat_eta) * (surprise - 5);
    average += surprise / kSteps;
  }
  // What mirostat promises.
  EXPECT_NEAR(average, 5, 0.15);
}

TEST(Sampler, LogprobsAreOfTheRawLogits) {
  const auto logits = random_logits(1000, 10, 2);
  SamplingParams params = plain_params(0.5f);
  params.logprobs = 20;
  params.top_k = 5;
  params.logit_bias = {{7, 100.0f}};
  Sampler sampler(params, vocab(logits.size()));
  const Sampled got = sampler.sample(logits, {}, 3);
  EXPECT_EQ(got.id, 7);
  double sum = 0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v));
  const auto exact = [&](int32_t id) { return logits[id] - std::log(sum); };
  ASSERT_TRUE(got.logprob.has_value());
  EXPECT_NEAR(*got.logprob, exact(7), 1e-6);
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  ASSERT_EQ(got.top.size(), 20u);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(got.top[i].id, order[i]);
    EXPECT_NEAR(got.top[i].logprob, exact(order[i]), 1e-6);
  }
  params.logprobs = 0;
  Sampler chosen_only(params, vocab(logits.size()));
  const Sampled only = chosen_only.sample(logits, {}, 3);
  EXPECT_TRUE(only.logprob.has_value());
  EXPECT_TRUE(only.top.empty());
}

TEST(Sampler, DrawsDependOnSeedAndPositionOnly) {
  const auto logits = random_logits(1000, 4, 8);
  SamplingParams params;
  params.seed = 99;
  const std::vector<int32_t> history = {1, 2};
  Sampler forward(params, vocab(logits.size()));
  Sampler backward(params, vocab(logits.size()));
  std::vector<int32_t> a(200), b(200);
  for (int64_t i = 0; i < 200; ++i) a[i] = forward.sample(logits, history, i).id;
  for (int64_t i = 200; i-- > 0;) b[i] = backward.sample(logits, history, i).id;
  EXPECT_EQ(a, b);
  params.seed = 100;
  Sampler other(params, vocab(logits.size()));
  int equal = 0;
  for (int64_t i = 0; i < 200; ++i) equal += other.sample(logits, history, i).id == a[i];
  EXPECT_LT(equal, 100);
}

// The same numbers on every machine and compiler.
TEST(Sampler, FingerprintIsTheSameEverywhere) {
  uint64_t hash = 14695981039346656037u;
  SamplingParams wide = plain_params(1.3f);
  wide.typical_p = 0.9f;
  wide.top_p = 0.9f;
  wide.min_p = 0.01f;
  SamplingParams usual;
  usual.seed = 5;
  usual.repeat_penalty = 1.1f;
  usual.dry_multiplier = 0.8f;
  usual.xtc_probability = 0.5f;
  SamplingParams mirostat = plain_params();
  mirostat.mirostat = 2;
  for (const auto& params : {wide, usual, mirostat}) {
    Sampler sampler(params, vocab(5000));
    std::vector<int32_t> history = {0};
    for (int64_t i = 0; i < 200; ++i) {
      const auto logits = random_logits(5000, 12, static_cast<uint32_t>(i % 7));
      history.push_back(sampler.sample(logits, history, i).id);
      hash = (hash ^ static_cast<uint64_t>(history.back())) * 1099511628211u;
    }
  }
  EXPECT_EQ(hash, 0x71e40eff92fe31d1u);
}

// reliability D9, R31: what is not finite never becomes a token.
TEST(Sampler, NonFiniteLogitsAreNumericErrors) {
  for (const float temperature : {0.0f, 1.0f}) {
    Sampler sampler(plain_params(temperature), vocab(9));
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      std::vector<float> logits(9, 1);
      logits[8] = bad;
      try {
        sampler.sample(logits, {}, 0);
        FAIL();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::numeric);
      }
      // The sampler serves the next request all the same.
      logits[8] = 50;
      EXPECT_EQ(sampler.sample(logits, {}, 0).id, 8);
    }
  }
}

class BanAllBut final : public LogitsProcessor {
 public:
  explicit BanAllBut(int32_t id) : id_(id) {}
  void process(std::span<float> logits, std::span<const int32_t>) override {
    for (size_t i = 0; i < logits.size(); ++i) {
      if (static_cast<int32_t>(i) != id_) logits[i] = -std::numeric_limits<float>::infinity();
    }
  }

 private:
  int32_t id_;
};

TEST(Sampler, ProcessorsCanBan) {
  for (const float temperature : {0.0f, 1.0f}) {
    SamplingParams params = plain_params(temperature);
    params.ignore_eos = true;
    Sampler sampler(params, {4, {2}, {}});
    for (int64_t i = 0; i < 100; ++i) {
      EXPECT_NE(sampler.sample(std::vector<float>{0, 0, 9, 0}, {}, i).id, 2);
    }
    sampler.add(std::make_unique<BanAllBut>(3));
    EXPECT_EQ(sampler.sample(std::vector<float>{5, 5, 9, 0}, {}, 0).id, 3);
    sampler.add(std::make_unique<BanAllBut>(1));
    try {
      sampler.sample(std::vector<float>{5, 5, 9, 0}, {}, 0);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("no token is left"));
    }
  }
}

TEST(Sampler, ContractsAreChecked) {
  SamplingParams unseeded = plain_params();
  unseeded.seed.reset();
  EXPECT_THROW(Sampler(unseeded, vocab(4)), Error);
  unseeded.temperature = 0;
  EXPECT_NO_THROW(Sampler(unseeded, vocab(4)));
  SamplingParams outside = plain_params();
  outside.top_p = 1.5f;
  EXPECT_THROW(Sampler(outside, vocab(4)), Error);
  SamplingParams bias = plain_params();
  bias.logit_bias = {{4, 1.0f}};
  EXPECT_THROW(Sampler(bias, vocab(4)), Error);
  Sampler sampler(plain_params(), vocab(4));
  EXPECT_THROW(sampler.sample(std::vector<float>(5, 0), {}, 0), Error);
}

TEST(Sampler, NoAllocationAfterWarmUp) {
  const auto logits = random_logits(32000, 12, 1);
  const std::vector<int32_t> history(2000, 3);
  SamplingParams usual;
  usual.seed = 1;
  usual.repeat_penalty = 1.1f;
  usual.dry_multiplier = 0.8f;
  usual.logprobs = 5;
  SamplingParams wide = plain_params();
  wide.top_p = 0.95f;
  wide.typical_p = 0.95f;
  SamplingParams mirostat = plain_params();
  mirostat.mirostat = 2;
  for (const auto& params : {usual, wide, mirostat, plain_params(0)}) {
    Sampler sampler(params, vocab(logits.size()));
    sampler.sample(logits, history, 0);
    const size_t before = test::allocation_count();
    for (int64_t i = 1; i < 50; ++i) sampler.sample(logits, history, i);
    EXPECT_EQ(test::allocation_count(), before);
  }
}

}  // namespace
}  // namespace weir
