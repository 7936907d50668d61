// Requests from their prompt to their last event, on a tiny model with a byte vocabulary and on
// trained weights where the shared test data is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "support/runner.h"
#include "support/shared_data.h"
#include "support/tiny_model.h"
#include "text/utf8.h"

namespace weir {
namespace {

using testing::HasSubstr;

std::shared_ptr<const Model> tiny_model() {
  test::TinyModel tiny;
  tiny.tokenizer = true;
  tiny.vocabulary = 300;
  tiny.layers = 2;
  return test::load_tiny(tiny);
}

struct Outcome {
  std::string text;
  std::vector<int32_t> tokens;
  std::vector<Event> events;
  Statistics statistics;
  const Event& last() const { return events.back(); }
};

Outcome run(Engine& engine, const Request& request) {
  Outcome outcome;
  outcome.statistics = engine.run(request, [&](const Event& event) {
    EXPECT_TRUE(outcome.events.empty() || outcome.events.back().finish == FinishReason::none);
    outcome.text += event.text;
    if (event.token >= 0) outcome.tokens.push_back(event.token);
    outcome.events.push_back(event);
  });
  return outcome;
}

Request greedy(std::string prompt, int32_t max_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0.0f;
  request.sampling.max_tokens = max_tokens;
  request.sampling.ignore_eos = true;
  return request;
}

TEST(NativeEngine, GivesWhatTheDecoderGives) {
  const auto model = tiny_model();
  const auto engine =
      make_native_engine(model, {.threads = 2, .kv_type = "f32", .prefill_chunk = 3});
  const Outcome outcome = run(*engine, greedy("abc", 20));
  std::vector<int32_t> ids = model->tokenizer()->encode("abc");
  const size_t prompt = ids.size();
  for (int i = 0; i < 20; ++i) {
    auto logits = test::all_logits(model, ids, ids.size(), 1).back();
    logits[2] = -std::numeric_limits<float>::infinity();  // </s>
    ids.push_back(
        static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
  }
  EXPECT_EQ(outcome.tokens,
            std::vector<int32_t>(ids.begin() + static_cast<long>(prompt), ids.end()));
  EXPECT_EQ(outcome.last().finish, FinishReason::length);
  EXPECT_EQ(outcome.statistics.prompt_tokens, static_cast<int64_t>(prompt));
  EXPECT_EQ(outcome.statistics.generated_tokens, 20);
  EXPECT_GT(outcome.statistics.first_token_seconds, 0.0);
  EXPECT_GT(outcome.statistics.decode_tokens_per_second(), 0.0);
  EXPECT_GT(outcome.statistics.peak_memory_bytes, 0);
}

TEST(NativeEngine, SettingsOfTheRunChangeNothing) {
  const auto model = tiny_model();
  Request request = greedy("to be or not to be", 40);
  request.sampling.temperature = 0.9f;
  request.sampling.seed = 7;
  const auto reference = run(*make_native_engine(model, {.threads = 1}), request);
  for (const int threads : {1, 2, 5})
    for (const int64_t chunk : {1, 7, 256}) {
      const auto engine = make_native_engine(model, {.threads = threads, .prefill_chunk = chunk});
      EXPECT_EQ(run(*engine, request).tokens, reference.tokens);
      EXPECT_EQ(run(*engine, request).tokens, reference.tokens) << "again on the same engine";
    }
}

TEST(NativeEngine, EveryEventIsWholeUtf8) {
  // Every token is a byte: characters of several bytes come in pieces.
  const auto model = tiny_model();
  const auto engine = make_native_engine(model, {.threads = 1});
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Request request = greedy("x", 50);
    request.sampling.temperature = 3.0f;
    request.sampling.top_k = 0;
    request.sampling.top_p = 1.0f;
    request.sampling.min_p = 0.0f;
    request.sampling.seed = seed;
    const Outcome outcome = run(*engine, request);
    for (const Event& event : outcome.events) EXPECT_TRUE(is_valid_utf8(event.text));
    EXPECT_EQ(outcome.text, model->tokenizer()->decode(
                                outcome.tokens, {.skip_special = true, .text_start = false}));
  }
}

TEST(NativeEngine, AFullContextIsSaidNotHidden) {
  const auto engine = make_native_engine(tiny_model(), {.threads = 1, .context_length = 20});
  const Outcome outcome = run(*engine, greedy("abcd", -1));
  EXPECT_EQ(outcome.last().finish, FinishReason::context);
  EXPECT_EQ(finish_reason_name(outcome.last().finish), "length");
  EXPECT_THAT(outcome.last().detail, HasSubstr("20 tokens is full"));
  EXPECT_EQ(outcome.statistics.prompt_tokens + outcome.statistics.generated_tokens, 21)
      << "the last token needs no place";
}

TEST(NativeEngine, APromptBeyondTheContextNamesBothLengths) {
  const auto engine = make_native_engine(tiny_model(), {.threads = 1, .context_length = 20});
  Request request;
  request.tokens.assign(21, 5);
  try {
    run(*engine, request);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::limit_exceeded);
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("21 tokens"), HasSubstr("holds 20")));
  }
  request.tokens.assign(20, 5);
  request.sampling.temperature = 0.0f;
  EXPECT_EQ(run(*engine, request).tokens.size(), 1u);
}

TEST(NativeEngine, RefusesWhatItCannotRun) {
  const auto model = tiny_model();
  EXPECT_THROW(make_native_engine(model, {.threads = -1}), Error);
  EXPECT_THROW(make_native_engine(model, {.context_length = -5}), Error);
  EXPECT_THROW(make_native_engine(model, {.kv_type = "q9"}), Error);
  EXPECT_THROW(make_native_engine(model, {.numerics = "fast"}), Error);
  EXPECT_THROW(make_native_engine(model, {.prefill_chunk = 0}), Error);
  const auto engine = make_native_engine(model, {.threads = 1});
  Request request;
  request.tokens = {1, 300};
  EXPECT_THROW(run(*engine, request), Error);
  const auto mute = make_native_engine(test::load_tiny({}), {.threads = 1});
  EXPECT_FALSE(mute->capabilities().text);
  EXPECT_THROW(run(*mute, greedy("text", 1)), Error);
}

TEST(NativeEngine, StopsAtTextsIdsAndTheEnd) {
  const auto model = tiny_model();
  const auto engine = make_native_engine(model, {.threads = 1});
  const Outcome whole = run(*engine, greedy("abc", 30));
  ASSERT_GE(whole.text.size(), 4u);

  Request request = greedy("abc", 30);
  request.sampling.stop_ids = {whole.tokens[5]};
  const Outcome by_id = run(*engine, request);
  EXPECT_EQ(by_id.last().finish, FinishReason::stop);
  EXPECT_EQ(by_id.tokens.back(), whole.tokens[5]);
  EXPECT_LE(by_id.tokens.size(), 6u);

  request = greedy("abc", 30);
  const std::string stop = whole.text.substr(whole.text.size() / 2, 2);
  request.sampling.stop = {stop};
  const Outcome by_text = run(*engine, request);
  EXPECT_EQ(by_text.text, whole.text.substr(0, whole.text.find(stop)));
  EXPECT_EQ(by_text.last().finish, FinishReason::stop);

  request = greedy("abc", 0);
  const Outcome none = run(*engine, request);
  EXPECT_TRUE(none.tokens.empty());
  EXPECT_EQ(none.last().finish, FinishReason::length);
}

TEST(NativeEngine, AnEndTokenSaysNothing) {
  const auto model = tiny_model();
  const auto engine = make_native_engine(model, {.threads = 1});
  Request request = greedy("abc", 30);
  request.sampling.ignore_eos = false;
  request.sampling.logit_bias = {{2, 100.0f}};
  const Outcome outcome = run(*engine, request);
  EXPECT_EQ(outcome.tokens, std::vector<int32_t>{2});
  EXPECT_EQ(outcome.text, "");
  EXPECT_EQ(outcome.last().finish, FinishReason::stop);
}

TEST(NativeEngine, CancelsBetweenTokens) {
  const auto engine = make_native_engine(tiny_model(), {.threads = 1});
  const auto cancel = std::make_shared<std::atomic<bool>>(false);
  Request request = greedy("abc", 50);
  request.cancel = cancel;
  int tokens = 0;
  FinishReason reason = FinishReason::none;
  engine->run(request, [&](const Event& event) {
    if (event.token >= 0 && ++tokens == 5) *cancel = true;
    reason = event.finish;
  });
  EXPECT_EQ(tokens, 5);
  EXPECT_EQ(reason, FinishReason::cancelled);
  EXPECT_EQ(run(*engine, request).last().finish, FinishReason::cancelled) << "before the prompt";
  *cancel = false;
  EXPECT_EQ(run(*engine, request).tokens.size(), 50u) << "the engine goes on";
}

TEST(NativeEngine, NaNEndsTheRequestNotTheEngine) {
  test::TinyModel tiny;
  tiny.type = DType::f32;
  tiny.edit = [](const std::string& name, std::vector<float>& values) {
    if (name == "blk.0.ffn_down.weight") values[3] = std::numeric_limits<float>::infinity();
  };
  const auto engine = make_native_engine(test::load_tiny(tiny), {.threads = 1});
  Request request;
  request.tokens = {1, 2, 3};
  for (int i = 0; i < 2; ++i) {
    try {
      run(*engine, request);
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::numeric);
      EXPECT_THAT(error.what(), HasSubstr("after token 3"));
    }
  }
}

TEST(NativeEngine, ExceptionsOfTheCallerPassThrough) {
  const auto engine = make_native_engine(tiny_model(), {.threads = 1});
  EXPECT_THROW(engine->run(greedy("abc", 9), [](const Event&) { throw 7; }), int);
  EXPECT_EQ(run(*engine, greedy("abc", 9)).tokens.size(), 9u);
}

TEST(NativeEngine, ReportsLogProbabilities) {
  const auto engine = make_native_engine(tiny_model(), {.threads = 1});
  Request request = greedy("abc", 5);
  request.sampling.logprobs = 3;
  for (const Event& event : run(*engine, request).events) {
    EXPECT_LT(event.log_probability, 0.0);
    ASSERT_EQ(event.top.size(), 3u);
    EXPECT_GE(event.top[0].logprob, event.top[1].logprob);
  }
}

TEST(NativeEngine, DryLooksAtTheTextOfTokens) {
  const auto engine = make_native_engine(tiny_model(), {.threads = 1});
  Request request = greedy("abcabcabcabc", 60);
  const auto plain = run(*engine, request).tokens;
  request.sampling.dry_multiplier = 5.0f;
  request.sampling.dry_allowed_length = 1;
  request.sampling.dry_sequence_breakers = {"\n", ":", "a long one that no token has"};
  EXPECT_NE(run(*engine, request).tokens, plain);
}

TEST(NativeEngine, TellsThePublishedStory) {
  const auto path = test::shared_data("gguf/stories260K-f32.gguf");
  if (!path) GTEST_SKIP() << "shared test data is not here (WEIR_SHARED)";
  const auto engine = make_native_engine(Model::load(*path), {.threads = 2});
  const Outcome outcome = run(*engine, greedy("Once upon a time", 60));
  EXPECT_THAT(outcome.text, testing::StartsWith(
                                ", there was a little girl named Lily. She loved to play outside"));
}

}  // namespace
}  // namespace weir
