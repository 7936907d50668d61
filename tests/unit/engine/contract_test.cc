// The contract of the native engine: a request's answer is the same bytes as if it ran alone,
// whatever runs beside it, wherever its prefix comes from and however often it was interrupted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
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

TEST(Contract, BatchSizesAndChunksChangeNothing) {
  for (const std::string family : {"llama", "gemma2", "gpt2"}) {
    const auto model = load_two_layers(family);
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
    const auto model = load_two_layers(family);
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
    EXPECT_THROW(make_native_engine(load_two_layers(), {.numerics = "bf16-dot"}), Error);
    GTEST_SKIP() << "this processor has no AVX512_BF16";
  }
  const auto model = load_two_layers("llama", DType::bf16);
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
  const auto model = load_two_layers();
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
  EXPECT_THROW(make_native_engine(load_two_layers(), narrow), Error);  // heads of another width
}

TEST(Contract, TheFullPoolOfR23) {
  const auto model = load_two_layers();
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
  const auto model = load_two_layers();
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
      make_native_engine(load_two_layers(), {.threads = 1, .context_length = 256, .max_batch = 2});
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
      make_native_engine(load_two_layers(), {.threads = 1, .context_length = 512, .max_batch = 8});
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

TEST(Contract, EmbeddingsAreTheSameInCompany) {
  const auto model = load_two_layers();
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
  const auto model = load_two_layers();
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
