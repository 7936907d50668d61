// The contract of the native engine for requests that end badly: a request that fails, is
// cancelled, comes too late or too many ends by itself, and the others do not notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "base/error.h"
#include "unit/engine/engine_load.h"

namespace weir {
namespace {

using test::alone;
using test::Answer;
using test::expect_equal;
using test::expect_no_leak;
using test::Load;
using test::load_two_layers;
using test::mixed_requests;
using test::together;

TEST(Isolation, NaNEndsOneRequestOnly) {
  // A position whose embedding is infinite: whoever gets that far gets NaN.
  test::TinyModel tiny;
  tiny.family = "gpt2";
  tiny.vocabulary = 300;
  tiny.layers = 2;
  tiny.context = 256;
  tiny.type = DType::f32;
  tiny.edit = [&](const std::string& name, std::vector<float>& values) {
    if (name == "position_embd.weight") values[120 * 32] = std::numeric_limits<float>::infinity();
  };
  const auto model = test::load_tiny(tiny);
  auto requests = mixed_requests(12, 300, 60);
  const auto expected = alone(model, requests, 256);
  const auto engine = make_native_engine(
      model, {.threads = 2, .context_length = 256, .max_batch = 6, .kv_tokens = 512});
  for (int round = 0; round < 2; ++round) {  // the second in pages that have held NaN
    auto mixed = requests;
    mixed[3].tokens.resize(130, 9);
    mixed[7].tokens.resize(110, 9);
    mixed[7].sampling.max_tokens = 50;
    const auto got = together(*engine, mixed);
    for (size_t i = 0; i < got.size(); ++i) {
      if (i == 3 || i == 7) {
        EXPECT_EQ(got[i].last.finish, FinishReason::error);
        EXPECT_EQ(got[i].last.code, Code::numeric);
      } else {
        EXPECT_TRUE(got[i] == expected[i]) << i << ": " << got[i].last.detail;
      }
    }
    EXPECT_THROW(engine->embed(mixed[3]), Error);
    expect_equal(together(*engine, requests), expected, "after NaN");
  }
  EXPECT_EQ(engine->counters().failed, 6u);
}

TEST(Isolation, CancelledAndLateRequestsEndAndLeaveNothing) {
  const auto engine = make_native_engine(
      load_two_layers(), {.threads = 1, .context_length = 512, .max_batch = 3, .kv_tokens = 512});
  auto requests = mixed_requests(24, 300, 100);
  std::vector<std::shared_ptr<std::atomic<bool>>> flags;
  for (size_t i = 0; i < requests.size(); ++i) {
    flags.push_back(std::make_shared<std::atomic<bool>>(i % 5 == 0));
    requests[i].cancel = flags.back();
    requests[i].sampling.max_tokens = 100;
    if (i % 4 == 1) requests[i].timeout_seconds = 1e-6;
  }
  Load load(*engine);
  for (size_t i = 0; i < requests.size(); ++i) load.submit(i, requests[i]);
  for (size_t i = 0; i < flags.size(); i += 2) *flags[i] = true;
  const auto got = load.wait();
  for (size_t i = 0; i < got.size(); ++i) {
    if (i % 5 == 0) {
      EXPECT_EQ(got[i].last.finish, FinishReason::cancelled);
    } else if (i % 4 == 1) {
      EXPECT_EQ(got[i].last.finish, FinishReason::timeout);
    }
  }
  expect_no_leak(*engine);
}

TEST(Isolation, AFullQueueIsSaid) {
  const auto engine = make_native_engine(
      load_two_layers(), {.threads = 1, .context_length = 512, .max_batch = 1, .max_queue = 2});
  Request request;
  request.tokens = {5, 6, 7};
  request.sampling.ignore_eos = true;
  request.sampling.max_tokens = 400;
  Load load(*engine);
  for (size_t i = 0; i < 3; ++i) load.submit(i, request);
  try {
    engine->submit(request, [](const Event&) {});
    FAIL() << "a fourth request of three";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
  }
  Request wrong = request;  // refused before anybody looks at it: that costs nothing
  wrong.tokens.assign(5000, 5);
  try {
    engine->submit(wrong, [](const Event&) {});
    FAIL() << "a fourth request of three";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
  }
  load.wait();
  load.submit(3, request);
  load.wait();
}

TEST(Isolation, DrainLetsFinishThenEnds) {
  Request request;
  request.tokens = {5, 6, 7};
  request.sampling.ignore_eos = true;
  request.sampling.max_tokens = 300;
  {
    const auto engine = make_native_engine(load_two_layers(),
                                           {.threads = 1, .context_length = 512, .max_batch = 4});
    Load load(*engine);
    for (size_t i = 0; i < 6; ++i) load.submit(i, request);
    engine->drain(60);
    for (const Answer& answer : load.wait()) EXPECT_EQ(answer.last.finish, FinishReason::length);
    EXPECT_THROW(engine->submit(request, [](const Event&) {}), Error);
  }
  const auto engine =
      make_native_engine(load_two_layers(), {.threads = 1, .context_length = 512, .max_batch = 2});
  Load load(*engine);
  for (size_t i = 0; i < 6; ++i) load.submit(i, request);
  engine->drain(0);
  for (const Answer& answer : load.wait()) {
    EXPECT_EQ(answer.last.finish, FinishReason::error);
    EXPECT_EQ(answer.last.code, Code::unavailable);
  }
}

}  // namespace
}  // namespace weir
