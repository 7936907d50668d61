// The token budget against machines that are simulated: a step takes so long for the streams and so
// long for each prompt token.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include "engine/token_budget.h"

namespace weir {
namespace {

using Machine = std::function<double(int64_t decoding, int64_t prompt_tokens)>;

struct Pace {
  std::vector<double> steps;
  int64_t prompt_tokens = 0;
  double p99() {
    std::sort(steps.begin(), steps.end());
    return steps[steps.size() * 99 / 100];
  }
};

Pace run(TokenBudget& budget, const Machine& machine, int64_t decoding, int count) {
  Pace pace;
  for (int i = 0; i < count; ++i) {
    const int64_t tokens = budget.prompt_tokens(decoding, 256);
    const double seconds = machine(decoding, tokens);
    budget.record(decoding, tokens, seconds);
    pace.steps.push_back(seconds);
    pace.prompt_tokens += tokens;
  }
  return pace;
}

TEST(TokenBudget, KeepsThePaceOfStreams) {
  std::mt19937 random(3);
  for (const double token_ms : {0.1, 1.0, 5.0}) {
    const Machine machine = [&](int64_t decoding, int64_t tokens) {
      const double noise = 0.95 + 0.1 * static_cast<double>(random() % 1000) / 1000;
      return noise *
             (20 + 2 * static_cast<double>(decoding) + token_ms * static_cast<double>(tokens)) /
             1000;
    };
    TokenBudget budget(1.6);
    for (int i = 0; i < 20; ++i) budget.record(8, 0, machine(8, 0));
    Pace pace = run(budget, machine, 8, 1000);
    EXPECT_LT(pace.p99(), 2 * 0.036) << token_ms;
    const double share = static_cast<double>(pace.prompt_tokens) / 1000 * token_ms;
    EXPECT_GT(share, 0.4 * 36) << "prompts get what the streams can spare, at " << token_ms;
  }
}

TEST(TokenBudget, KeepsThePaceWhereAnyPromptTokenReadsALongCache) {
  const Machine machine = [&](int64_t, int64_t tokens) {
    return tokens == 0 ? 0.066 : 0.066 + 0.040 + 0.015 * static_cast<double>(tokens);
  };
  TokenBudget budget(1.6);
  Pace pace = run(budget, machine, 8, 1000);
  EXPECT_LT(pace.p99(), 2 * 0.066);
  EXPECT_GT(pace.prompt_tokens, 900) << "and the prompt goes on";
}

TEST(TokenBudget, WithoutStreamsPromptsGetEverything) {
  TokenBudget budget(1.6);
  EXPECT_EQ(budget.prompt_tokens(0, 256), 256);
  EXPECT_EQ(budget.prompt_tokens(0, 0), 0);
  budget.record(0, 256, 9.0);
  EXPECT_EQ(budget.prompt_tokens(0, 256), 256);
}

TEST(TokenBudget, NoStepTakesLongerThanIsAsked) {
  TokenBudget budget(1.6, 0.2);
  for (int i = 0; i < 20; ++i) {
    const int64_t tokens = budget.prompt_tokens(0, 256);
    EXPECT_NEAR(static_cast<double>(tokens), i == 0 ? 32.0 : 200.0, 1.0);
    budget.record(0, tokens, 0.001 * static_cast<double>(tokens));
  }
  for (int i = 0; i < 50; ++i) budget.record(0, 32, 9.0);
  EXPECT_EQ(budget.prompt_tokens(0, 256), 32) << "however slow, weights are not read for a few";
  EXPECT_EQ(budget.prompt_tokens(0, 8), 8);
}

TEST(TokenBudget, PromptsGoOnWhateverTheMachineDoes) {
  std::mt19937 random(4);
  TokenBudget budget(1.6);
  const Machine wild = [&](int64_t, int64_t tokens) {
    return random() % 50 == 0 ? 3.0 : 0.001 + 0.1 * static_cast<double>(tokens);
  };
  int64_t tokens = 0;
  for (int i = 0; i < 1000; ++i)
    tokens += run(budget, wild, 1 + static_cast<int64_t>(random() % 16), 1).prompt_tokens;
  EXPECT_GT(tokens, 400);
}

TEST(TokenBudget, FollowsAMachineThatBecomesSlower) {
  TokenBudget budget(1.6);
  double factor = 1;
  const Machine machine = [&](int64_t, int64_t tokens) {
    return factor * (0.020 + 0.001 * static_cast<double>(tokens));
  };
  run(budget, machine, 4, 200);
  factor = 3;
  run(budget, machine, 4, 200);
  Pace pace = run(budget, machine, 4, 500);
  EXPECT_LT(pace.p99(), 2 * 0.060);
}

}  // namespace
}  // namespace weir
