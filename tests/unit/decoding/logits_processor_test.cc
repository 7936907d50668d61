// decoding/logits_processor.h: hand-worked values, and DRY against a plain search.
#include "decoding/logits_processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "base/error.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::FloatEq;

constexpr float kBanned = -std::numeric_limits<float>::infinity();

std::vector<float> run(LogitsProcessor& processor, std::vector<float> logits,
                       const std::vector<int32_t>& history) {
  processor.process(logits, history);
  return logits;
}

TEST(LogitBias, AddsAndBans) {
  const std::vector<int32_t> banned = {3};
  auto bias = make_logit_bias({{0, 1.5f}, {2, kBanned}}, banned, 4);
  EXPECT_THAT(run(*bias, {1, 2, 3, 4}, {}), ElementsAre(2.5f, 2, kBanned, kBanned));
  EXPECT_THROW(make_logit_bias({{4, 1.0f}}, {}, 4), Error);
  EXPECT_THROW(make_logit_bias({{-1, 1.0f}}, {}, 4), Error);
}

TEST(Penalties, HandWorked) {
  SamplingParams params;
  params.repeat_penalty = 2;
  params.presence_penalty = 0.5f;
  params.frequency_penalty = 0.25f;
  params.repeat_last_n = -1;
  auto all = make_penalties(params, 4);
  // Token 1 twice: 4/2 - 2*0.25 - 0.5; token 2 once: -1*2 - 0.25 - 0.5; token 3 once: 0*2 - 0.75.
  EXPECT_THAT(run(*all, {1, 4, -1, 0}, {1, 2, 1, 3}), ElementsAre(1, 1, -2.75f, -0.75f));
  // No state stays behind.
  EXPECT_THAT(run(*all, {1, 4, -1, 0}, {0}), ElementsAre(-0.25f, 4, -1, 0));
  EXPECT_THAT(run(*all, {1, 4, -1, 0}, {}), ElementsAre(1, 4, -1, 0));
  EXPECT_THAT(run(*all, {kBanned, 4, -1, 0}, {0}), ElementsAre(kBanned, 4, -1, 0));

  params.repeat_last_n = 2;
  auto window = make_penalties(params, 4);
  EXPECT_THAT(run(*window, {1, 4, -1, 0}, {2, 2, 1, 3}), ElementsAre(1, 1.25f, -1, -0.75f));
  EXPECT_THROW(run(*window, {1, 4, -1, 0}, {1, 4}), Error);
  EXPECT_THROW(run(*window, {1, 4, -1, 0}, {1, -1}), Error);
}

SamplingParams dry_params() {
  SamplingParams params;
  params.dry_multiplier = 0.5f;
  params.dry_base = 2;
  params.dry_allowed_length = 2;
  return params;
}

TEST(Dry, HandWorked) {
  auto dry = make_dry(dry_params(), {}, 6);
  const std::vector<float> zero(6, 0);
  // "1 2 3 | 1 2": 3 would repeat two tokens: 0.5 * 2^0.
  EXPECT_THAT(run(*dry, zero, {1, 2, 3, 1, 2}), ElementsAre(0, 0, 0, -0.5f, 0, 0));
  // "0 1 2 3 4 0 1 2 3": 4 would repeat four: 0.5 * 2^2.
  EXPECT_THAT(run(*dry, zero, {0, 1, 2, 3, 4, 0, 1, 2, 3}), ElementsAre(0, 0, 0, 0, -2, 0));
  // Overlap: "1 1 1 1" ends like itself one token ago in three tokens: 0.5 * 2^1.
  EXPECT_THAT(run(*dry, zero, {1, 1, 1, 1}), ElementsAre(0, -1, 0, 0, 0, 0));
  // Of two earlier places, with two and with six tokens in common, the longer counts: 0.5 * 2^4.
  EXPECT_THAT(run(*dry, zero, {1, 2, 3, 5, 1, 2, 3, 5, 1, 2}), ElementsAre(0, 0, 0, -8, 0, 0));
  // One repeated token is allowed.
  EXPECT_THAT(run(*dry, zero, {1, 2, 0, 1}), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(run(*dry, zero, {}), ElementsAre(0, 0, 0, 0, 0, 0));
}

TEST(Dry, BreakersEndRepetitions) {
  const std::vector<float> zero(6, 0);
  auto dry = make_dry(dry_params(), {0}, 6);
  // The repetition "1 0 2 3" counts from the breaker on: "2 3", two tokens.
  EXPECT_THAT(run(*dry, zero, {1, 0, 2, 3, 4, 1, 0, 2, 3}), ElementsAre(0, 0, 0, 0, -0.5f, 0));
  // After a breaker nothing is repeated, and a breaker itself is never penalised.
  EXPECT_THAT(run(*dry, zero, {1, 0, 2, 1, 0}), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(run(*dry, zero, {1, 2, 0, 1, 2}), ElementsAre(0, 0, 0, 0, 0, 0));
}

// The description in text-generation-webui #5637, word for word: for each earlier occurrence of the
// last token, extend the match backwards; the token after it is penalised by the longest match.
std::vector<float> plain_dry(const SamplingParams& p, const std::vector<int32_t>& breakers,
                             std::vector<float> logits, std::vector<int32_t> history) {
  const auto breaks = [&](int32_t id) {
    return std::find(breakers.begin(), breakers.end(), id) != breakers.end();
  };
  if (p.dry_penalty_last_n >= 0 && history.size() > static_cast<size_t>(p.dry_penalty_last_n)) {
    history.erase(history.begin(), history.end() - p.dry_penalty_last_n);
  }
  const auto n = static_cast<int>(history.size());
  std::map<int32_t, int> longest;
  for (int i = 0; i + 1 < n; ++i) {
    int length = 0;
    while (i - length >= 0 && history[i - length] == history[n - 1 - length] &&
           !breaks(history[n - 1 - length])) {
      ++length;
    }
    const int32_t next = history[i + 1];
    if (length > 0 && !breaks(next)) longest[next] = std::max(longest[next], length);
  }
  for (const auto& [id, length] : longest) {
    if (length < p.dry_allowed_length) continue;
    const double penalty = static_cast<double>(p.dry_multiplier) *
                           std::pow(static_cast<double>(p.dry_base), length - p.dry_allowed_length);
    logits[id] -= static_cast<float>(std::min(penalty, 1e30));
  }
  return logits;
}

TEST(Dry, AgreesWithPlainSearch) {
  std::mt19937 engine(5);
  int changed = 0;
  for (int round = 0; round < 3000; ++round) {
    SamplingParams p = dry_params();
    p.dry_base = 1.75f;
    p.dry_allowed_length = static_cast<int32_t>(engine() % 4);
    p.dry_penalty_last_n = engine() % 2 == 0 ? -1 : static_cast<int32_t>(1 + engine() % 30);
    std::vector<int32_t> breakers;
    if (engine() % 2 == 0) breakers = {1};
    std::vector<int32_t> history(engine() % 60);
    const auto alphabet = 2 + engine() % 3;
    for (auto& id : history) id = static_cast<int32_t>(engine() % alphabet);
    std::vector<float> logits(5);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i);
    const auto expected = plain_dry(p, breakers, logits, history);
    const auto got = run(*make_dry(p, breakers, 5), logits, history);
    for (size_t i = 0; i < 5; ++i) ASSERT_THAT(got[i], FloatEq(expected[i])) << round;
    changed += expected != logits;
  }
  EXPECT_GT(changed, 1500);
}

TEST(Dry, LongRepetitionsStayFinite) {
  auto dry = make_dry(dry_params(), {}, 2);
  const auto got = run(*dry, {0, 0}, std::vector<int32_t>(100000, 1));
  EXPECT_TRUE(std::isfinite(got[1]));
  EXPECT_LT(got[1], -1e29f);
}

TEST(TokensWith, FindsTextsInsideTokens) {
  const std::vector<std::string> pieces = {"a", "b\n", ": c", "d"};
  const std::vector<std::string> texts = {"\n", ":"};
  EXPECT_THAT(tokens_with(texts, 4, [&](int32_t id) { return std::string_view(pieces[id]); }),
              ElementsAre(1, 2));
  // Pieces that live only for the call, too long for the string itself to hold.
  const std::string padding(100, 'x');
  EXPECT_THAT(tokens_with(texts, 4, [&](int32_t id) { return padding + pieces[id]; }),
              ElementsAre(1, 2));
}

}  // namespace
}  // namespace weir
