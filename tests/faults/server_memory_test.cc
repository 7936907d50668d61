// R22 over HTTP: the n-th allocation of the server fails while it answers a request beside a
// stream, for every n until the request needs no more (every
// 11th in the short form). At most one of the two fails, as JSON with a
// status, an error event or, where not even the connection could be kept, by closing it; the server
// then answers as before and has all its pages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "faults/failing_new.h"
#include "server/http_server.h"
#include "server/service.h"
#include "support/clock.h"
#include "support/tiny_model.h"
#include "unit/server/test_server.h"

namespace weir {
namespace {

using nlohmann::json;
using test::Client;
using test::Response;

std::unique_ptr<Engine> tiny_engine() {
  return make_native_engine(test::load_two_layers(),
                            {.threads = 1, .context_length = 512, .max_batch = 4});
}

/// A server over a real engine. This thread's own allocations are not counted.
struct World {
  test::Exempt exempt;
  EventLog log{LogFormat::text, [](std::string_view) {}};
  Metrics metrics;
  ModelRegistry registry{{{"tiny", "", true}},
                         [](const ModelSource&) {
                           PlannedModel planned;
                           planned.plan.weights = 100;
                           planned.start = [] { return tiny_engine(); };
                           return planned;
                         },
                         {}};
  Service service{registry, metrics, log, KeyRing({}), HostPolicy(), ServerLimits(), "9.9.9"};
  HttpServer server{{.host = "127.0.0.1", .port = 0}, service};
};

struct Kind {
  const char* path;
  std::string body;
};

const std::vector<Kind> kKinds = {
    {"/v1/completions", R"({"prompt":"abc","max_tokens":8,"temperature":0,"ignore_eos":true})"},
    {"/v1/completions",
     R"({"prompt":"abc","max_tokens":8,"temperature":0,"ignore_eos":true,"stream":true})"},
    {"/v1/completions", R"({"prompt":"abc","max_tokens":8,"n":2,"seed":5,"logprobs":2})"},
    {"/generate", R"({"prompt":"abc","max_tokens":8,"temperature":0})"},
    {"/api/generate",
     R"({"prompt":"abc","raw":true,"options":{"num_predict":8,"seed":4},"stream":true})"},
    {"/v1/embeddings", R"({"input":["abc","de"]})"},
    {"/tokenize", R"({"content":"abc"})"},
    {"/detokenize", R"({"tokens":[70,71,72]})"},
};

/// The parts of an answer that do not differ from run to run.
std::string essence(const std::string& body) {
  std::string text;
  const auto add = [&](const std::string& part) {
    const json j = json::parse(part, nullptr, false);
    if (j.is_discarded()) return;
    if (j.contains("error")) text += "ERROR";
    for (const char* name : {"choices", "data", "response", "tokens", "content", "text"})
      if (j.contains(name)) text += j[name].dump();
  };
  size_t from = 0;
  while (from < body.size()) {
    const size_t end = std::min(body.find('\n', from), body.size());
    std::string line = body.substr(from, end - from);
    if (line.starts_with("data: ")) line = line.substr(6);
    add(line);
    from = end + 1;
  }
  return text;
}

const std::string kBeside =
    R"({"prompt":"neighbour","max_tokens":300,"temperature":0,"ignore_eos":true,"stream":true})";

class ServerMemory : public testing::Test {
 protected:
  struct Outcome {
    bool fired = false;
    int failed = 0, closed = 0;
  };

  Outcome one(const Kind& kind, int64_t n) {
    Outcome outcome;
    Client beside(world_.server.port()), own(world_.server.port());
    beside.send(test::post_bytes("/v1/completions", kBeside));
    for (int i = 0; i < 2000 && world_.registry.acquire("tiny").engine().counters().running == 0;
         ++i)
      std::this_thread::sleep_for(std::chrono::microseconds(10));
    test::fail_allocation(n);
    own.send(test::post_bytes(kind.path, kind.body));
    const Response response = own.read_response();
    outcome.fired = test::stop_failing();
    const Response neighbour = beside.read_response();
    for (const auto& [got, expected] :
         {std::pair(&response, &expected_), std::pair(&neighbour, &neighbour_)}) {
      const std::string text = essence(got->body);
      if (got->status == 200 && text == *expected) continue;
      ++outcome.failed;
      if (got->status == 0) ++outcome.closed;
      const bool said = got->status == 503 || got->status == 500;
      if (said) {
        EXPECT_THAT(text, testing::HasSubstr("ERROR")) << got->body;
      } else if (got->status == 200) {  // a stream that was cut, with an error event or without
        EXPECT_TRUE(text.ends_with("ERROR") || text.size() < expected->size()) << got->body;
      } else {
        EXPECT_EQ(got->status, 0) << got->body;
      }
    }
    EXPECT_LE(outcome.failed, 1) << response.head << response.body << neighbour.body;
    return outcome;
  }

  Response ask(const Kind& kind) {
    Client client(world_.server.port());
    client.send(test::post_bytes(kind.path, kind.body));
    return client.read_response();
  }

  World world_;
  std::string expected_, neighbour_;
};

TEST_F(ServerMemory, AFailedAllocationEndsOneRequest) {
  neighbour_ = essence(ask({"/v1/completions", kBeside}).body);
  ASSERT_FALSE(neighbour_.empty());
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(std::string(kind.path) + kind.body);
    const Response alone = ask(kind);
    ASSERT_EQ(alone.status, 200) << alone.body;
    expected_ = essence(alone.body);
    int failed = 0, closed = 0;
    for (int64_t n = 1;; n += test::long_tests() ? 1 : 11) {
      SCOPED_TRACE(fmt::format("allocation {}", n));
      const Outcome outcome = one(kind, n);
      failed += outcome.failed;
      closed += outcome.closed;
      if (HasFailure()) return;
      if (!outcome.fired) {
        fmt::print("{}: {} allocations, {} failed, of these {} closed\n", kind.path, n - 1, failed,
                   closed);
        break;
      }
      EngineCounters c = world_.registry.acquire("tiny").engine().counters();
      for (int i = 0; i < 1000 && c.running + c.queued > 0; ++i) {  // of a stream that was cut
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        c = world_.registry.acquire("tiny").engine().counters();
      }
      EXPECT_EQ(c.running + c.queued, 0);
      EXPECT_EQ(c.free_pages + c.cached_pages, c.pages);
      ASSERT_LT(n, 20'000);
    }
    EXPECT_GT(failed, 0);
    EXPECT_EQ(essence(ask(kind).body), expected_);
  }
}

}  // namespace
}  // namespace weir
