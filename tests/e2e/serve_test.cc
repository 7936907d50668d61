// `weir serve` from outside with the embedded model: real HTTP, the official clients, signals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "e2e/served_program.h"
#include "support/shared_data.h"
#include "unit/server/test_server.h"

namespace weir {
namespace {

using test::request;
using test::ServedProgram;
using ::testing::HasSubstr;

const std::string kChat =
    R"("messages":[{"role":"user","content":"What is Weir?"}],"temperature":0,"max_tokens":24)";

TEST(Serve, AnswersAndShowsWhatItIs) {
  ServedProgram program({});
  for (const char* text :
       {"pocket: context", "memory", "weights", "KV cache", "threads", "tokens/s"})
    EXPECT_THAT(program.output(), HasSubstr(text));
  const auto whole = request(program.port(), "POST", "/v1/chat/completions", "{" + kChat + "}");
  ASSERT_EQ(whole.status, 200) << whole.body;
  const std::string expected = whole.json()["choices"][0]["message"]["content"];
  // Many at once: each gets the bytes it gets alone.
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i)
    threads.emplace_back([&] {
      const auto r = request(program.port(), "POST", "/v1/chat/completions",
                             "{" + kChat + ",\"stream\":true}");
      std::string text;
      for (const std::string& data : test::sse_data(r.body)) {
        if (data == "[DONE]") break;
        const auto json = nlohmann::json::parse(data);
        text += json["choices"][0]["delta"].value("content", "");
      }
      EXPECT_EQ(text, expected);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(Serve, OfficialClientsRunUnmodified) {
  ServedProgram program({"--log", "off"});
  const std::string folder = std::string(WEIR_BINARY_DIR) + "/clients";
  const std::string script = test::repository_file("tests/e2e/clients/run").string();
  const std::string log = folder + ".log";
  const int status = std::system(
      ("'" + script + "' '" + folder + "' " + program.url() + " >'" + log + "' 2>&1").c_str());
  const std::string output = read_file(log);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << output;
  EXPECT_EQ(WEXITSTATUS(status), 0) << output;
  EXPECT_THAT(output, HasSubstr("ok   openai: abort in the middle"));
  EXPECT_THAT(output, HasSubstr("ok   ollama: abort in the middle"));
}

TEST(Serve, FirstSignalDrainsAndExitsWith0) {
  ServedProgram program({});
  test::Client client(program.port());
  client.send(test::post_bytes("/v1/chat/completions",
                               "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],"
                               "\"max_tokens\":300,\"ignore_eos\":true,\"stream\":true}"));
  const std::string first = client.read_some();
  ASSERT_THAT(first, HasSubstr("200 OK"));
  program.signal(SIGTERM);
  std::string rest = first;
  for (std::string more; !(more = client.read_some()).empty();) rest += more;
  EXPECT_THAT(rest, HasSubstr("[DONE]"));
  EXPECT_EQ(program.wait(10), 0) << program.output();
}

TEST(Serve, SecondSignalExitsQuickly) {
  ServedProgram program({"--context", "512"});
  test::Client client(program.port());
  const std::string body =
      R"({"prompt":["a","b","c","d","e","f","g","h"],"max_tokens":500,"ignore_eos":true,)"
      R"("stream":true,"n":16})";
  client.send(test::post_bytes("/v1/completions", body));
  ASSERT_THAT(client.read_some(), HasSubstr("200 OK"));
  program.signal(SIGTERM);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto start = std::chrono::steady_clock::now();
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(10), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TEST(Serve, RefusesAPublicAddressWithoutAKey) {
  EXPECT_THROW(ServedProgram({"--host", "0.0.0.0"}), std::runtime_error);
  EXPECT_THROW(ServedProgram({"--max-batch", "0x"}), std::runtime_error);
  EXPECT_THROW(ServedProgram({"--memory", "1MB"}), std::runtime_error);
}

TEST(Serve, KeysComeFromTheEnvironment) {
  ServedProgram program({}, {"WEIR_API_KEYS=canary-key-1,canary-key-2"});
  EXPECT_EQ(request(program.port(), "GET", "/v1/models").status, 401);
  EXPECT_EQ(request(program.port(), "GET", "/health").status, 200);
  for (const char* key : {"canary-key-1", "canary-key-2"})
    EXPECT_EQ(request(program.port(), "GET", "/v1/models", "",
                      std::string("Authorization: Bearer ") + key + "\r\n")
                  .status,
              200);
  EXPECT_THAT(program.output(), ::testing::Not(HasSubstr("canary-key")));
}

TEST(Serve, LoadsOtherModelsWhenAskedFor) {
  const std::string model = test::repository_file("models/pocket.gguf").string();
  ServedProgram program({"--model", "second=" + model, "--keep-alive", "0"});
  const auto r = request(program.port(), "POST", "/v1/completions",
                         R"({"model":"second","prompt":"Once","max_tokens":2})");
  EXPECT_EQ(r.status, 200) << r.body;
  EXPECT_EQ(r.json()["model"], "second");
  bool unloaded = false;
  for (int i = 0; i < 300 && !unloaded; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    unloaded = request(program.port(), "GET", "/api/ps").json()["models"].empty();
  }
  EXPECT_TRUE(unloaded);
}

}  // namespace
}  // namespace weir
