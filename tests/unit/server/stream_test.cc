// Answers over real sockets: streams and whole answers, clients that leave or do not read, limits
// in time and size, shutting down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "unit/server/test_server.h"

namespace weir {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::FakeEngine;
using test::sse_data;
using ::testing::HasSubstr;
using ::testing::Not;

bool soon(const std::function<bool()>& condition, std::chrono::milliseconds patience = 5s) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

const std::string kChat = R"("messages":[{"role":"user","content":"hi"}],"max_tokens":5)";

std::string chat_text(const std::vector<std::string>& events, size_t choice = 0) {
  std::string text;
  for (const std::string& event : events) {
    if (event == "[DONE]") break;
    const json chunk = json::parse(event);
    for (const json& c : chunk["choices"])
      if (c["index"] == choice && c["delta"].contains("content"))
        text += c["delta"]["content"].get<std::string>();
  }
  return text;
}

TEST(Stream, EqualsTheWholeAnswerInEveryDialect) {
  test::TestServer server;
  const std::string expected = FakeEngine::answer_to("<user>hi<assistant>", 5);
  const auto whole =
      test::request(server.port(), "POST", "/v1/chat/completions", "{" + kChat + "}");
  ASSERT_EQ(whole.status, 200) << whole.body;
  EXPECT_EQ(whole.json()["choices"][0]["message"]["content"], expected);
  EXPECT_EQ(whole.json()["usage"]["completion_tokens"], 5);
  EXPECT_EQ(whole.json()["usage"]["prompt_tokens"], 19);

  const auto stream = test::request(
      server.port(), "POST", "/v1/chat/completions",
      "{" + kChat + R"(,"stream":true,"n":2,"stream_options":{"include_usage":true}})");
  EXPECT_EQ(stream.header("Content-Type"), "text/event-stream");
  const auto events = sse_data(stream.body);
  ASSERT_GT(events.size(), 4u);
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(chat_text(events, 0), expected);
  EXPECT_EQ(chat_text(events, 1), expected);
  const json usage = json::parse(events[events.size() - 2]);
  EXPECT_EQ(usage["choices"].size(), 0u);
  EXPECT_EQ(usage["usage"]["completion_tokens"], 10);
  EXPECT_EQ(usage["usage"]["prompt_tokens"], 19);
  EXPECT_EQ(json::parse(events[0])["choices"][0]["delta"]["role"], "assistant");

  const auto lines = test::request(server.port(), "POST", "/api/chat",
                                   R"({"messages":[{"role":"user","content":"hi"}],
                                       "options":{"num_predict":5}})");
  EXPECT_EQ(lines.header("Content-Type"), "application/x-ndjson");
  std::string text;
  json last;
  std::istringstream in(lines.body);
  for (std::string line; std::getline(in, line);) {
    last = json::parse(line);
    text += last["message"]["content"].get<std::string>();
  }
  EXPECT_EQ(text, expected);
  EXPECT_EQ(last["done"], true);
  EXPECT_EQ(last["eval_count"], 5);

  const auto plain =
      test::request(server.port(), "POST", "/generate", R"({"prompt":"ab","max_tokens":3})");
  EXPECT_EQ(plain.json()["text"], FakeEngine::answer_to("ab", 3));
}

TEST(Stream, CompletionsTakeManyPromptsAndEcho) {
  test::TestServer server;
  const auto r = test::request(server.port(), "POST", "/v1/completions",
                               R"({"prompt":["a","b"],"n":2,"max_tokens":2,"echo":true,
                                   "logprobs":2})");
  ASSERT_EQ(r.status, 200) << r.body;
  const json body = r.json();
  ASSERT_EQ(body["choices"].size(), 4u);
  EXPECT_EQ(body["choices"][2]["text"], "b" + FakeEngine::answer_to("b", 2));
  EXPECT_EQ(body["choices"][2]["logprobs"]["tokens"].size(), 2u);
  EXPECT_EQ(body["choices"][2]["logprobs"]["top_logprobs"][0].size(), 2u);
  EXPECT_EQ(body["usage"]["prompt_tokens"], 2);
}

TEST(Stream, ErrorsBeforeTheFirstByteHaveAStatusAndLaterAnEvent) {
  test::TestServer server;
  const auto first =
      test::request(server.port(), "POST", "/generate", R"({"prompt":"[fail]","stream":true})");
  EXPECT_EQ(first.status, 500);
  EXPECT_EQ(first.json()["error"]["code"], "numeric_error");
  test::TestServerOptions slow;
  slow.engine.step = 5ms;
  test::TestServer server2(slow);
  const auto late = test::request(server2.port(), "POST", "/v1/completions",
                                  R"({"prompt":"[fail-late]","stream":true})");
  EXPECT_EQ(late.status, 200);
  EXPECT_THAT(late.body, HasSubstr("event: error\ndata: {\"error\":{"));
  EXPECT_THAT(late.body, Not(HasSubstr("[DONE]")));
  const auto ollama =
      test::request(server2.port(), "POST", "/api/generate", R"({"prompt":"[fail-late]"})");
  EXPECT_THAT(ollama.body, HasSubstr("\n{\"error\":\"the logits are not finite\"}\n"));
  const auto whole =
      test::request(server2.port(), "POST", "/v1/completions", R"({"prompt":"[fail-late]"})");
  EXPECT_EQ(whole.status, 500);
}

TEST(Stream, LongPromptsAreRefusedWithBothLengths) {
  test::TestServerOptions options;
  options.engine.context = 10;
  test::TestServer server(options);
  for (const char* stream : {"true", "false"}) {
    const auto r =
        test::request(server.port(), "POST", "/v1/completions",
                      std::string(R"({"prompt":"12345678901","stream":)") + stream + "}");
    EXPECT_EQ(r.status, 400);
    EXPECT_EQ(r.json()["error"]["type"], "exceed_context_size_error");
    EXPECT_EQ(r.json()["error"]["n_prompt_tokens"], 11);
    EXPECT_EQ(r.json()["error"]["n_ctx"], 10);
  }
}

TEST(Stream, FullQueueIs503WithRetryAfter) {
  test::TestServerOptions options;
  options.engine.most_requests = 1;
  options.engine.step = 20ms;
  test::TestServer server(options);
  test::Client first(server.port());
  first.send(test::post_bytes("/generate", R"({"prompt":"a","max_tokens":100})"));
  ASSERT_TRUE(soon([&] { return server.engine().counters().running == 1; }));
  const auto r = test::request(server.port(), "POST", "/generate", R"({"prompt":"a"})");
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(r.header("Retry-After"), "1");
}

TEST(Stream, RequestTimesEnd) {
  test::TestServerOptions options;
  options.engine.step = 20ms;
  test::TestServer server(options);
  const std::string body = R"({"prompt":"a","max_tokens":1000,"timeout":0.1)";
  const auto whole = test::request(server.port(), "POST", "/v1/completions", body + "}");
  EXPECT_EQ(whole.status, 504);
  EXPECT_EQ(whole.json()["error"]["type"], "timeout_error");
  const auto stream =
      test::request(server.port(), "POST", "/v1/completions", body + ",\"stream\":true}");
  EXPECT_THAT(stream.body, HasSubstr("\"finish_reason\":\"timeout\""));
}

TEST(Stream, TheOnlyModelsFullQueueRefusesBeforeBodiesAreParsed) {
  test::TestServerOptions options;
  options.engine.most_requests = 1;
  options.engine.step = 20ms;
  for (const bool alone : {true, false}) {
    if (alone)
      options.models = {{"fake", "", true}};
    else
      options.models = test::TestServerOptions().models;
    test::TestServer server(options);
    test::Client first(server.port());
    first.send(test::post_bytes("/generate", R"({"prompt":"a","max_tokens":100})"));
    ASSERT_TRUE(soon([&] { return server.engine().counters().running == 1; }));
    const auto r = test::request(server.port(), "POST", "/v1/completions", "no JSON");
    EXPECT_EQ(r.status, alone ? 503 : 400);
    EXPECT_EQ(r.header("Retry-After"), alone ? "1" : "");
    EXPECT_EQ(test::request(server.port(), "POST", "/tokenize", R"({"content":"a"})").status, 200);
  }
}

TEST(Disconnect, CancelsAtEveryPlace) {
  test::TestServerOptions options;
  options.engine.step = 2ms;
  test::TestServer server(options);
  const auto post = [](const char* stream) {
    return test::post_bytes("/v1/completions", std::string(R"({"prompt":"a","max_tokens":100000,)"
                                                           R"("stream":)") +
                                                   stream + "}");
  };
  uint64_t cancelled = 0;
  for (const char* stream : {"true", "false"}) {
    for (const bool hard : {true, false}) {
      test::Client client(server.port());
      client.send(post(stream));
      ASSERT_TRUE(soon([&] { return server.engine().counters().running == 1; }));
      const auto start = std::chrono::steady_clock::now();
      hard ? client.reset() : client.half_close();
      ++cancelled;
      ASSERT_TRUE(soon([&] { return server.engine().counters().cancelled == cancelled; }));
      EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
    }
  }
  // In the middle of the head and of the body: nothing begins.
  const std::string bytes = post("true");
  for (size_t cut = 1; cut < bytes.size(); cut += 7) {
    test::Client client(server.port());
    client.send(bytes.substr(0, cut));
    client.reset();
  }
  EXPECT_TRUE(soon([&] {
    return server.server().connections() == 0 && server.engine().counters().running == 0;
  }));
  EXPECT_EQ(server.engine().counters().cancelled, cancelled);
  EXPECT_EQ(test::request(server.port(), "GET", "/health").status, 200);
}

TEST(SlowReader, LosesItsStreamWhenTooMuchWaits) {
  test::TestServer server;  // tokens as fast as they can be made
  test::Client client(server.port(), 4096);
  client.send(
      test::post_bytes("/generate", R"({"prompt":"a","max_tokens":1000000,"stream":true})"));
  EXPECT_TRUE(soon([&] { return server.engine().counters().cancelled == 1; }, 120s));
  EXPECT_EQ(test::request(server.port(), "GET", "/health").status, 200);
}

TEST(SlowReader, IsCutWhenItTakesNothing) {
  test::TestServerOptions options;
  options.limits.write_stall = 200ms;
  test::TestServer server(options);
  test::Client client(server.port(), 4096);
  // The answer, some bytes for each letter, is more than the system takes for the client.
  const std::string letters(600'000, 'a');
  client.send(test::post_bytes("/tokenize", R"({"content":")" + letters + "\"}"));
  const auto cut = [&] {
    const auto metrics = test::request(server.port(), "GET", "/metrics");
    return metrics.body.find("\nweir_slow_readers_cut_total 1\n") != std::string::npos;
  };
  EXPECT_TRUE(soon(cut, 20s));
  EXPECT_TRUE(soon([&] { return server.server().connections() == 0; }));
}

TEST(Limits, BodiesOverTheLimitGet413) {
  test::TestServerOptions options;
  options.limits.body_bytes = 1000;
  test::TestServer server(options);
  const auto with_size = [&](size_t size) {
    const std::string frame = R"({"content":""})";
    return test::request(server.port(), "POST", "/tokenize",
                         R"({"content":")" + std::string(size - frame.size(), 'a') + "\"}");
  };
  EXPECT_EQ(with_size(999).status, 200);
  EXPECT_EQ(with_size(1000).status, 200);
  const auto r = with_size(1001);
  EXPECT_EQ(r.status, 413);
  EXPECT_TRUE(r.json().contains("error"));
  test::Client huge(server.port());  // refused before its body comes
  huge.send("POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_EQ(huge.read_response().status, 413);
}

TEST(Limits, HeadersBodiesAndIdleConnectionsHaveTheirTime) {
  test::TestServerOptions options;
  options.limits.header_time = 200ms;
  options.limits.body_idle = 200ms;
  options.limits.keep_alive = 200ms;
  test::TestServer server(options);
  test::Client silent(server.port()), half(server.port()), body(server.port()), kept(server.port());
  half.send("GET /health HTTP/1.1\r\nHost: ");
  body.send("POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{\"c");
  kept.send("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  EXPECT_EQ(kept.read_response().status, 200);
  for (test::Client* client : {&silent, &half, &body, &kept}) {
    EXPECT_TRUE(client->closed_by_server());
  }
}

TEST(Limits, SlowHeadersDoNotHoldOthers) {
  test::TestServer server;
  std::vector<std::unique_ptr<test::Client>> half;
  for (int i = 0; i < 200; ++i) {
    half.push_back(std::make_unique<test::Client>(server.port()));
    half.back()->send("GET /health HTTP/1.1\r\nHo");
  }
  EXPECT_EQ(test::request(server.port(), "GET", "/health").status, 200);
}

TEST(Limits, ConnectionsAreCounted) {
  test::TestServerOptions options;
  options.limits.connections = 3;
  test::TestServer server(options);
  std::vector<std::unique_ptr<test::Client>> open;
  for (int i = 0; i < 3; ++i) open.push_back(std::make_unique<test::Client>(server.port()));
  ASSERT_TRUE(soon([&] { return server.server().connections() == 3; }));
  test::Client more(server.port());
  const auto r = more.read_response();
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(r.header("Retry-After"), "1");
  EXPECT_TRUE(r.json().contains("error"));
  open.clear();
  ASSERT_TRUE(soon([&] { return server.server().connections() == 0; }));
  EXPECT_EQ(test::request(server.port(), "GET", "/health").status, 200);
}

TEST(KeepAlive, ServesRequestsOneAfterTheOtherAlsoPipelined) {
  test::TestServer server;
  test::Client client(server.port());
  const std::string one = test::post_bytes("/generate", R"({"prompt":"a","max_tokens":2})");
  client.send(one + one + "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(client.read_response().json()["text"], FakeEngine::answer_to("a", 2));
  EXPECT_EQ(client.read_response().status, 200);
  client.send("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_response().header("Connection"), "close");
  EXPECT_TRUE(client.closed_by_server());
}

TEST(KeepAlive, Http10GetsNoChunks) {
  test::TestServer server;
  test::Client client(server.port());
  const std::string body = R"({"prompt":"a","max_tokens":2,"stream":true})";
  client.send("POST /generate HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string all = client.read_all();
  EXPECT_THAT(all, Not(HasSubstr("chunked")));
  EXPECT_THAT(all, HasSubstr("data: [DONE]\n\n"));
}

TEST(Drain, FinishesWhatRunsAndRefusesTheRest) {
  test::TestServerOptions options;
  options.engine.step = 10ms;
  test::TestServer server(options);
  test::Client running(server.port()), idle(server.port());
  idle.send("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  EXPECT_EQ(idle.read_response().status, 200);
  running.send(test::post_bytes("/generate", R"({"prompt":"a","max_tokens":60,"stream":true})"));
  ASSERT_TRUE(soon([&] { return server.engine().counters().running == 1; }));
  const uint16_t port = server.port();
  std::thread drain([&] { server.server().drain(10); });
  EXPECT_TRUE(idle.closed_by_server());
  EXPECT_TRUE(soon(
      [&] {
        try {
          test::Client late(port);
          return false;
        } catch (const std::runtime_error&) {
          return true;
        }
      },
      1s));
  const auto r = running.read_response();
  EXPECT_THAT(r.body, HasSubstr("\"generated_tokens\":60"));
  EXPECT_THAT(r.body, HasSubstr("[DONE]"));
  drain.join();
  EXPECT_EQ(server.server().connections(), 0);
}

TEST(Drain, EndsWhatTakesTooLongWithAnError) {
  test::TestServerOptions options;
  options.engine.step = 10ms;
  test::TestServer server(options);
  test::Client running(server.port());
  running.send(test::post_bytes("/generate", R"({"prompt":"a","max_tokens":60000,"stream":true})"));
  ASSERT_TRUE(soon([&] { return server.engine().counters().running == 1; }));
  std::thread drain([&] { server.server().drain(0.1); });
  EXPECT_THAT(running.read_response().body, HasSubstr("event: error"));
  drain.join();
}

TEST(Drain, ASecondOneHurries) {
  test::TestServerOptions options;
  options.engine.step = 10ms;
  test::TestServer server(options);
  test::Client running(server.port());
  running.send(test::post_bytes("/generate", R"({"prompt":"a","max_tokens":60000,"stream":true})"));
  ASSERT_TRUE(soon([&] { return server.engine().counters().running == 1; }));
  std::thread drain([&] { server.server().drain(60); });
  std::this_thread::sleep_for(50ms);
  const auto start = std::chrono::steady_clock::now();
  server.server().drain(0);
  drain.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 7s);
}

TEST(Routes, UnknownOnesAndMethods) {
  test::TestServer server;
  EXPECT_EQ(test::request(server.port(), "GET", "/nothing").json()["error"]["type"],
            "not_found_error");
  EXPECT_TRUE(test::request(server.port(), "GET", "/api/nothing").json()["error"].is_string());
  EXPECT_EQ(test::request(server.port(), "GET", "/generate").status, 405);
  EXPECT_EQ(test::request(server.port(), "DELETE", "/v1/models").status, 405);
  EXPECT_EQ(test::request(server.port(), "GET", "/v1/models?x=1").status, 200);
  for (const char* path : {"/%67enerate", "/v1//models", "/v1/../health", "/health/", "//health"})
    EXPECT_EQ(test::request(server.port(), "GET", path).status, 404) << path;
}

TEST(Routes, ModelNamesReachNoFiles) {
  test::TestServer server;
  for (const std::string name :
       {"../fake", "/etc/passwd", "..\\\\fake", "fake/../../x", "%2e%2e%2f", "fake\\u0000",
        "C:\\\\x", "\\u2025/x", ".", "..", "nofake", "file:///etc/passwd"}) {
    const auto r = test::request(server.port(), "POST", "/v1/completions",
                                 "{\"model\":\"" + name + "\",\"prompt\":\"a\"}");
    EXPECT_EQ(r.status, 404) << name << r.body;
    EXPECT_THAT(r.body, HasSubstr("models here are: fake, other"));
    EXPECT_EQ(
        test::request(server.port(), "POST", "/api/show", "{\"model\":\"" + name + "\"}").status,
        404);
  }
  EXPECT_EQ(test::request(server.port(), "POST", "/api/show", R"({"model":"fake:latest"})").status,
            200);
}

TEST(Routes, InformationIsThere) {
  test::TestServer server;
  EXPECT_EQ(test::request(server.port(), "GET", "/ready").status, 503);
  test::request(server.port(), "POST", "/api/generate", R"({"model":"fake"})");
  EXPECT_EQ(test::request(server.port(), "GET", "/ready").status, 200);
  EXPECT_EQ(test::request(server.port(), "GET", "/v1/models").json()["data"].size(), 2u);
  EXPECT_EQ(test::request(server.port(), "GET", "/api/tags").json()["models"][0]["name"], "fake");
  EXPECT_EQ(test::request(server.port(), "GET", "/api/ps").json()["models"].size(), 1u);
  EXPECT_EQ(test::request(server.port(), "GET", "/api/version").json()["version"], "9.9.9");
  const auto metrics = test::request(server.port(), "GET", "/metrics");
  for (const char* name :
       {"weir_http_responses_total{route=\"/ready\",status=\"503\"} 1", "weir_models_loaded 1",
        "weir_pages{model=\"fake\",tier=\"disk\"}", "process_resident_memory_bytes"})
    EXPECT_THAT(metrics.body, HasSubstr(name));
  const auto embedding =
      test::request(server.port(), "POST", "/v1/embeddings", R"({"input":["ab","c"]})");
  EXPECT_EQ(embedding.json()["data"][0]["embedding"][0], 2.0);
  const auto base64 = test::request(server.port(), "POST", "/v1/embeddings",
                                    R"({"input":"ab","encoding_format":"base64"})");
  EXPECT_EQ(base64.json()["data"][0]["embedding"], "AAAAQAAAAD8AAIC+AAAAAA==");
  EXPECT_EQ(test::request(server.port(), "POST", "/api/embed", R"({"input":"abc"})")
                .json()["embeddings"][0][0],
            3.0);
}

TEST(Log, HoldsNoPromptAndOneLineAnEvent) {
  test::TestServer server;
  test::request(server.port(), "POST", "/generate",
                R"({"prompt":"canary-prompt","max_tokens":1,"canary-name\r\nforged":1})");
  test::request(server.port(), "POST", "/generate", R"({"prompt":"canary-prompt"})");
  test::request(server.port(), "GET", "/x%0D%0Aforged?canary-query");
  const std::string log = server.log(3);
  EXPECT_THAT(log, Not(HasSubstr("canary")));
  EXPECT_THAT(log, Not(HasSubstr("\nforged")));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3);
}

}  // namespace
}  // namespace weir
