// The contract of the native engine: a request's answer is the same bytes as if it ran alone,
// whatever runs beside it, wherever its prefix comes from and however often it was interrupted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <limits>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace weir {
namespace {

std::shared_ptr<const Model> tiny_model(const std::string& family = "llama",
                                        DType type = DType::q8_0) {
  test::TinyModel tiny;
  tiny.family = family;
  tiny.tokenizer = true;
  tiny.vocabulary = 300;
  tiny.layers = 2;
  tiny.context = 512;
  tiny.type = type;
  return test::load_tiny(tiny);
}

struct Answer {
  std::vector<int32_t> tokens;
  std::string text;
  Event last;
  bool operator==(const Answer& other) const {
    return tokens == other.tokens && text == other.text && last.finish == other.last.finish;
  }
};

/// Submits many requests and waits for all answers.
class Load {
 public:
  explicit Load(Engine& engine) : engine_(engine) {}

  void submit(size_t index, Request request) {
    {
      const std::lock_guard lock(mutex_);
      if (answers_.size() <= index) answers_.resize(index + 1);
      ++open_;
    }
    engine_.submit(std::move(request), [this, index](const Event& event) {
      const std::lock_guard lock(mutex_);
      Answer& answer = answers_[index];
      EXPECT_EQ(answer.last.finish, FinishReason::none) << "an event after the last";
      if (event.token >= 0) answer.tokens.push_back(event.token);
      answer.text += event.text;
      answer.last = event;
      if (event.finish == FinishReason::none) return;
      --open_;
      changed_.notify_all();
    });
  }

  std::vector<Answer> wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(120), [&] { return open_ == 0; }));
    return answers_;
  }

 private:
  Engine& engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Answer> answers_;
  int open_ = 0;
};

/// Chat-like prompts: a few beginnings, many continuations; greedy and drawn.
std::vector<Request> mixed_requests(size_t count, int64_t vocabulary, int64_t longest) {
  std::mt19937 random(11);
  const auto tokens = [&](int64_t n) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < n; ++i)
      ids.push_back(3 + static_cast<int32_t>(random() % static_cast<uint64_t>(vocabulary - 3)));
    return ids;
  };
  const std::vector<std::vector<int32_t>> beginnings = {tokens(longest / 2), tokens(longest / 3),
                                                        tokens(5)};
  std::vector<Request> requests;
  for (size_t i = 0; i < count; ++i) {
    Request request;
    request.tokens = beginnings[random() % beginnings.size()];
    const auto tail = tokens(1 + static_cast<int64_t>(random() % 30));
    request.tokens.insert(request.tokens.end(), tail.begin(), tail.end());
    request.sampling.max_tokens = 1 + static_cast<int32_t>(random() % 40);
    request.sampling.temperature = i % 2 == 0 ? 0.0f : 0.8f;
    request.sampling.seed = random();
    request.sampling.ignore_eos = true;
    request.priority = static_cast<Priority>(random() % 3);
    request.tenant = random() % 4 == 0 ? "other" : "";
    request.use_prefix_cache = random() % 6 != 0;
    requests.push_back(request);
  }
  return requests;
}

std::vector<Answer> alone(const std::shared_ptr<const Model>& model,
                          const std::vector<Request>& requests, int64_t context,
                          const std::string& numerics = "exact") {
  const auto engine =
      make_native_engine(model, {.threads = 1, .context_length = context, .numerics = numerics});
  std::vector<Answer> answers;
  for (Request request : requests) {
    request.use_prefix_cache = false;
    Answer answer;
    engine->run(request, [&](const Event& event) {
      if (event.token >= 0) answer.tokens.push_back(event.token);
      answer.text += event.text;
      answer.last = event;
    });
    answers.push_back(answer);
  }
  return answers;
}

std::vector<Answer> together(Engine& engine, const std::vector<Request>& requests) {
  Load load(engine);
  std::mt19937 random(5);
  for (size_t i = 0; i < requests.size(); ++i) {
    load.submit(i, requests[i]);
    if (random() % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
  }
  return load.wait();
}

void expect_equal(const std::vector<Answer>& got, const std::vector<Answer>& expected,
                  const std::string& how) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_TRUE(got[i] == expected[i])
        << how << ", request " << i << ": " << got[i].last.detail << "\n got      "
        << testing::PrintToString(got[i].tokens) << "\n expected "
        << testing::PrintToString(expected[i].tokens);
}

/// All pages are free or cached once nothing runs.
void expect_no_leak(const Engine& engine) {
  const EngineCounters c = engine.counters();
  EXPECT_EQ(c.running + c.queued, 0);
  EXPECT_EQ(c.free_pages + c.cached_pages, c.pages);
}

TEST(Contract, BatchSizesAndChunksChangeNothing) {
  for (const std::string family : {"llama", "gemma2", "gpt2"}) {
    const auto model = tiny_model(family);
    const auto requests = mixed_requests(32, 300, 150);
    const auto expected = alone(model, requests, 256);
    for (const int64_t batch : {1, 4, 16})
      for (const int64_t chunk : {7, 64}) {
        const auto engine = make_native_engine(
            model,
            {.threads = 2, .context_length = 256, .prefill_chunk = chunk, .max_batch = batch});
        const std::string how = fmt::format("{}, batch {}, chunk {}", family, batch, chunk);
        expect_equal(together(*engine, requests), expected, how);
        expect_equal(together(*engine, requests), expected, how + ", again");
        EXPECT_GT(engine->counters().cached_tokens, 0u);
        expect_no_leak(*engine);
      }
  }
}

TEST(Contract, MoreThreadsThanCoresChangeNothing) {
  for (const std::string family : {"llama", "gpt2"}) {
    const auto model = tiny_model(family);
    const auto requests = mixed_requests(8, 150, 60);
    const auto expected = alone(model, requests, 256);
    for (const int threads : {5, 16, 40}) {
      const auto engine = make_native_engine(
          model, {.threads = threads, .context_length = 256, .prefill_chunk = 64, .max_batch = 4});
      expect_equal(together(*engine, requests), expected,
                   fmt::format("{}, {} threads", family, threads));
      expect_no_leak(*engine);
    }
  }
}

TEST(Contract, TheBf16OptionKeepsThePromiseWithAnswersOfItsOwn) {
  if (kernels::bf16_dot_table_of(kernels::active_table()) == nullptr) {
    EXPECT_THROW(make_native_engine(tiny_model(), {.numerics = "bf16-dot"}), Error);
    GTEST_SKIP() << "this processor has no AVX512_BF16";
  }
  const auto model = tiny_model("llama", DType::bf16);
  const auto requests = mixed_requests(12, 200, 80);
  const auto expected = alone(model, requests, 256, "bf16-dot");
  EXPECT_FALSE(expected == alone(model, requests, 256)) << "the option does nothing";
  for (const int64_t chunk : {7, 64}) {
    const auto engine = make_native_engine(model, {.threads = 2,
                                                   .context_length = 256,
                                                   .numerics = "bf16-dot",
                                                   .prefill_chunk = chunk,
                                                   .max_batch = 4});
    EXPECT_NE(engine->capabilities().isa.find("+bf16-dot"), std::string::npos);
    expect_equal(together(*engine, requests), expected, fmt::format("chunk {}", chunk));
    expect_no_leak(*engine);
  }
}

TEST(Contract, AFullPoolPreemptsAndChangesNothing) {
  const auto model = tiny_model();
  auto requests = mixed_requests(40, 300, 100);
  for (Request& request : requests) request.sampling.max_tokens += 80;
  const auto expected = alone(model, requests, 256);
  for (const int64_t swap : {0, 1 << 20}) {
    const auto engine = make_native_engine(model, {.threads = 1,
                                                   .context_length = 256,
                                                   .prefill_chunk = 32,
                                                   .max_batch = 16,
                                                   .kv_tokens = 384,
                                                   .swap_bytes = swap});
    expect_equal(together(*engine, requests), expected, fmt::format("swap {}", swap));
    EXPECT_GT(engine->counters().preemptions, 0u);
    expect_no_leak(*engine);
  }
}

TEST(Contract, QuantisedCachesKeepIt) {
  test::TinyModel tiny;
  tiny.tokenizer = true;
  tiny.vocabulary = 300;
  tiny.layers = 2;
  tiny.context = 512;
  tiny.type = DType::q8_0;
  tiny.width = 128;  // heads of 32
  const auto model = test::load_tiny(tiny);
  auto requests = mixed_requests(24, 300, 100);
  for (Request& request : requests) request.sampling.max_tokens += 40;
  for (const std::string type : {"q8_0", "q4_0"}) {
    const NativeOptions plain{.threads = 1, .context_length = 256, .kv_type = type};
    std::vector<Answer> expected;
    for (Request request : requests) {
      request.use_prefix_cache = false;
      expected.push_back(together(*make_native_engine(model, plain), {request})[0]);
    }
    struct Way {
      int64_t batch, chunk;
      int threads;
      int64_t kv_tokens, swap;  // a small cache: requests are preempted
    };
    for (const Way& way : {Way{1, 7, 2, 0, 0}, Way{5, 1, 1, 0, 0}, Way{4, 64, 3, 0, 0},
                           Way{16, 64, 1, 384, 0}, Way{16, 7, 2, 384, 1 << 20}}) {
      NativeOptions options = plain;
      options.threads = way.threads;
      options.prefill_chunk = way.chunk;
      options.max_batch = way.batch;
      options.kv_tokens = way.kv_tokens;
      options.swap_bytes = way.swap;
      const auto engine = make_native_engine(model, options);
      expect_equal(together(*engine, requests), expected,
                   fmt::format("{}, batch {}, chunk {}, {} threads", type, way.batch, way.chunk,
                               way.threads));
      if (way.kv_tokens > 0) {
        EXPECT_GT(engine->counters().preemptions, 0u);
      }
      expect_no_leak(*engine);
    }
  }
  NativeOptions narrow{.threads = 1, .context_length = 256, .kv_type = "q8_0"};
  EXPECT_THROW(make_native_engine(tiny_model(), narrow), Error);  // heads of another width
}

TEST(Contract, TheFullPoolOfR23) {
  const auto model = tiny_model();
  std::vector<Request> requests = mixed_requests(32, 300, 60);
  for (Request& request : requests) {
    request.sampling.max_tokens = 150;
    request.use_prefix_cache = false;
  }
  const auto expected = alone(model, requests, 256);
  const auto engine = make_native_engine(
      model, {.threads = 2, .context_length = 256, .max_batch = 32, .kv_tokens = 1024});
  const auto got = together(*engine, requests);
  expect_equal(got, expected, "32 streams in a pool for 4 to 5 of them");
  for (const Answer& answer : got) EXPECT_LE(answer.last.statistics->preemptions, 8);
  EXPECT_GT(engine->counters().preemptions, 0u);
}

TEST(Contract, PrefixesSurviveARestart) {
  const auto model = tiny_model();
  const auto requests = mixed_requests(12, 300, 200);
  const auto expected = alone(model, requests, 256);
  const test::TempDir folder;
  const NativeOptions options{.threads = 1,
                              .context_length = 256,
                              .max_batch = 4,
                              .cache_folder = folder.path().string(),
                              .cache_bytes = 64 << 20};
  {
    const auto engine = make_native_engine(model, options);
    expect_equal(together(*engine, requests), expected, "first life");
    engine->drain(10);
    EXPECT_GT(engine->counters().disk_pages, 0);
  }
  const auto engine = make_native_engine(model, options);
  const auto got = together(*engine, requests);
  expect_equal(got, expected, "second life");
  for (size_t i = 0; i < got.size(); ++i) {
    const Statistics& s = *got[i].last.statistics;
    const int64_t findable = (s.prompt_tokens - 1) / 16 * 16;
    EXPECT_EQ(s.cached_tokens, requests[i].use_prefix_cache ? findable : 0) << "request " << i;
  }
  // Another model does not find them, nor does another type of the cache.
  test::TinyModel other;
  other.vocabulary = 300;
  other.layers = 2;
  other.context = 512;
  const auto stranger = make_native_engine(test::load_tiny(other), options);
  EXPECT_EQ(together(*stranger, {requests[0]})[0].last.statistics->cached_tokens, 0);
  NativeOptions wide = options;
  wide.kv_type = "f32";
  const auto wider = make_native_engine(model, wide);
  EXPECT_EQ(together(*wider, {requests[0]})[0].last.statistics->cached_tokens, 0);
}

TEST(Contract, TenantsShareNothing) {
  const auto engine =
      make_native_engine(tiny_model(), {.threads = 1, .context_length = 256, .max_batch = 2});
  Request request;
  for (int i = 0; i < 100; ++i) request.tokens.push_back(3 + i);
  request.sampling.max_tokens = 2;
  request.tenant = "a";
  EXPECT_EQ(together(*engine, {request})[0].last.statistics->cached_tokens, 0);
  EXPECT_EQ(together(*engine, {request})[0].last.statistics->cached_tokens, 96);
  request.tenant = "b";
  EXPECT_EQ(together(*engine, {request})[0].last.statistics->cached_tokens, 0);
}

TEST(Contract, SeveralAnswersToOnePromptComputeItOnce) {
  const auto engine =
      make_native_engine(tiny_model(), {.threads = 1, .context_length = 512, .max_batch = 8});
  Request request;
  for (int i = 0; i < 400; ++i) request.tokens.push_back(3 + i % 290);
  request.sampling.max_tokens = 4;
  request.sampling.seed = 1;
  const std::vector<Request> same(8, request);
  Load load(*engine);
  for (size_t i = 0; i < same.size(); ++i) load.submit(i, same[i]);
  const auto got = load.wait();
  for (const Answer& answer : got) EXPECT_TRUE(answer == got[0]);
  EXPECT_GE(engine->counters().cached_tokens, 7u * 384u);
}

TEST(Contract, NaNEndsOneRequestOnly) {
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

TEST(Contract, CancelledAndLateRequestsEndAndLeaveNothing) {
  const auto engine = make_native_engine(
      tiny_model(), {.threads = 1, .context_length = 512, .max_batch = 3, .kv_tokens = 512});
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

TEST(Contract, AFullQueueIsSaid) {
  const auto engine = make_native_engine(
      tiny_model(), {.threads = 1, .context_length = 512, .max_batch = 1, .max_queue = 2});
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
  load.wait();
  load.submit(3, request);
  load.wait();
}

TEST(Contract, DrainLetsFinishThenEnds) {
  Request request;
  request.tokens = {5, 6, 7};
  request.sampling.ignore_eos = true;
  request.sampling.max_tokens = 300;
  {
    const auto engine =
        make_native_engine(tiny_model(), {.threads = 1, .context_length = 512, .max_batch = 4});
    Load load(*engine);
    for (size_t i = 0; i < 6; ++i) load.submit(i, request);
    engine->drain(60);
    for (const Answer& answer : load.wait()) EXPECT_EQ(answer.last.finish, FinishReason::length);
    EXPECT_THROW(engine->submit(request, [](const Event&) {}), Error);
  }
  const auto engine =
      make_native_engine(tiny_model(), {.threads = 1, .context_length = 512, .max_batch = 2});
  Load load(*engine);
  for (size_t i = 0; i < 6; ++i) load.submit(i, request);
  engine->drain(0);
  for (const Answer& answer : load.wait()) {
    EXPECT_EQ(answer.last.finish, FinishReason::error);
    EXPECT_EQ(answer.last.code, Code::unavailable);
  }
}

TEST(Contract, EmbeddingsAreTheSameInCompany) {
  const auto model = tiny_model();
  const auto requests = mixed_requests(8, 300, 120);
  const auto small =
      make_native_engine(model, {.threads = 1, .context_length = 256, .prefill_chunk = 9});
  const auto engine = make_native_engine(
      model, {.threads = 2, .context_length = 256, .prefill_chunk = 64, .max_batch = 4});
  Load load(*engine);
  for (size_t i = 0; i < requests.size(); ++i) load.submit(i, requests[i]);
  for (const Request& request : requests) {
    const std::vector<float> vector = engine->embed(request);
    EXPECT_EQ(static_cast<int64_t>(vector.size()), engine->capabilities().embedding_width);
    double squares = 0;
    for (const float value : vector) squares += static_cast<double>(value) * value;
    EXPECT_NEAR(squares, 1.0, 1e-5);
    EXPECT_EQ(vector, small->embed(request));
  }
  load.wait();
}

TEST(Contract, RunFromManyThreads) {
  const auto model = tiny_model();
  const auto requests = mixed_requests(12, 300, 80);
  const auto expected = alone(model, requests, 256);
  for (const int64_t batch : {1, 4}) {
    const auto engine =
        make_native_engine(model, {.threads = 1, .context_length = 256, .max_batch = batch});
    std::vector<Answer> got(requests.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < requests.size(); ++i)
      threads.emplace_back([&, i] {
        engine->run(requests[i], [&, i](const Event& event) {
          if (event.token >= 0) got[i].tokens.push_back(event.token);
          got[i].text += event.text;
          got[i].last = event;
        });
      });
    for (std::thread& thread : threads) thread.join();
    expect_equal(got, expected, fmt::format("batch {}", batch));
  }
}

TEST(Contract, TrainedWeightsToo) {
  const auto path = test::shared_data("gguf/stories260K-f32.gguf");
  if (!path) GTEST_SKIP() << "shared test data is not here (WEIR_SHARED)";
  const auto model = Model::load(*path);
  auto requests = mixed_requests(24, model->config().vocabulary, 200);
  const auto expected = alone(model, requests, 400);
  const test::TempDir folder;
  for (int life = 0; life < 2; ++life) {
    const auto engine = make_native_engine(model, {.threads = 2,
                                                   .context_length = 400,
                                                   .prefill_chunk = 48,
                                                   .max_batch = 16,
                                                   .kv_tokens = 1200,
                                                   .swap_bytes = 1 << 20,
                                                   .cache_folder = folder.path().string(),
                                                   .cache_bytes = 64 << 20});
    expect_equal(together(*engine, requests), expected, fmt::format("life {}", life));
    expect_no_leak(*engine);
    engine->drain(10);
  }
}

}  // namespace
}  // namespace weir
