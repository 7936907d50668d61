// The load generator against the server over fake engines, whose answers are known, and against a
// server that answers wrongly.
#include "server/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "support/shared_data.h"
#include "unit/server/test_server.h"

namespace weir {
namespace {

namespace asio = boost::asio;
using ::testing::HasSubstr;

LoadTarget target_of(uint16_t port) {
  LoadTarget target;
  target.host = "127.0.0.1";
  target.port = std::to_string(port);
  target.patience_seconds = 5;
  return target;
}

/// Answers `answers[i % size]` to request i, whatever it asks; closes after "Connection: close".
class Canned {
 public:
  explicit Canned(std::vector<std::string> answers)
      : answers_(std::move(answers)),
        acceptor_(context_, {asio::ip::make_address("127.0.0.1"), 0}),
        thread_([this] { serve(); }) {}
  ~Canned() {
    stop_ = true;
    boost::system::error_code ignored;
    asio::ip::tcp::socket wake(context_);
    wake.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  int connections() const { return connections_; }

 private:
  void serve() {
    for (size_t i = 0;;) {
      boost::system::error_code error;
      asio::ip::tcp::socket socket(context_);
      acceptor_.accept(socket, error);
      if (stop_) return;
      ++connections_;
      for (bool open = true; open; ++i) {
        asio::streambuf request;
        asio::read_until(socket, request, "}", error);
        if (error) break;
        const std::string& answer = answers_[i % answers_.size()];
        asio::write(socket, asio::buffer(answer), error);
        open = answer.find("Connection: close") == std::string::npos;
      }
      socket.shutdown(asio::ip::tcp::socket::shutdown_send, error);
      char rest[4096];
      while (!error) socket.read_some(asio::buffer(rest), error);
    }
  }

  std::vector<std::string> answers_;
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  std::atomic<bool> stop_{false};
  std::atomic<int> connections_{0};
  std::thread thread_;
};

std::string stream_of(const std::string& text, bool whole = true) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
         "data: {\"choices\":[{\"index\":0,\"text\":\"" +
         text + "\",\"finish_reason\":null}]}\n\n" +
         (whole ? "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n"
                  "data: [DONE]\n\n"
                : "");
}

LoadOptions small() {
  LoadOptions options;
  options.streams = 4;
  options.requests = 20;
  options.distinct = 4;
  options.max_tokens = 8;
  options.verify = true;
  return options;
}

TEST(Load, CountsWhatAServerAnswers) {
  test::TestServer server;
  const LoadReport report = run_load(target_of(server.port()), small());
  EXPECT_TRUE(report.passed()) << load_table(report);
  EXPECT_EQ(report.requests, 20);
  EXPECT_EQ(report.finished, 20);
  EXPECT_EQ(report.verified, 20);
  EXPECT_EQ(report.by_status, (std::map<int, int64_t>{{200, 20}}));
  EXPECT_GT(report.generated_tokens, 0);
}

TEST(Load, LeavesMidwayWithoutAnError) {
  test::TestServerOptions slow;
  slow.engine.step = std::chrono::milliseconds(2);  // or all pieces come in one read
  test::TestServer server(slow);
  LoadOptions options = small();
  options.disconnect = 1;
  const LoadReport report = run_load(target_of(server.port()), options);
  EXPECT_EQ(report.errors, 0) << load_table(report);
  EXPECT_EQ(report.mismatches, 0);
  EXPECT_GT(report.disconnected, 0);
  EXPECT_EQ(report.disconnected + report.finished, 20);
}

TEST(Load, SeesATextThatDiffers) {
  Canned server({stream_of("one"), stream_of("one"), stream_of("other")});
  LoadOptions options = small();
  options.streams = 1;
  options.distinct = 1;
  options.requests = 6;
  const LoadReport report = run_load(target_of(server.port()), options);
  EXPECT_EQ(report.verified, 6);
  EXPECT_EQ(report.mismatches, 2);  // answers 2 and 5; answer 0 was the one alone
  EXPECT_FALSE(report.passed());
}

TEST(Load, AStreamWithoutItsEndIsAnError) {
  Canned server({stream_of("one", false)});
  LoadOptions options = small();
  options.verify = false;
  options.requests = 3;
  const LoadReport report = run_load(target_of(server.port()), options);
  EXPECT_EQ(report.errors, 3);
  EXPECT_THAT(load_table(report), HasSubstr("without finish_reason"));
}

TEST(Load, RefusalsAreErrorsUnlessAllowed) {
  Canned server(
      {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 28\r\n\r\n"
       "{\"error\":{\"message\":\"full\"}}"});
  LoadOptions options = small();
  options.verify = false;
  options.streams = 1;
  options.requests = 2;
  EXPECT_EQ(run_load(target_of(server.port()), options).errors, 2);
  options.allow_shed = true;
  const LoadReport report = run_load(target_of(server.port()), options);
  EXPECT_EQ(report.errors, 0);
  EXPECT_EQ(report.shed, 2);
  const auto json = nlohmann::json::parse(load_json(report));
  EXPECT_EQ(json["by_status"]["429"], 2);
  EXPECT_EQ(server.connections(), 2);  // one a run: what stays open is used again
}

TEST(Load, NobodyThereIsAnError) {
  LoadOptions options = small();
  options.verify = false;
  options.requests = 1;
  const LoadReport report = run_load(target_of(1), options);
  EXPECT_EQ(report.errors, 1);
  EXPECT_EQ(report.by_status, (std::map<int, int64_t>{{0, 1}}));
}

TEST(Load, UrlsAreStrict) {
  EXPECT_EQ(parse_load_url("http://localhost:8080/").port, "8080");
  EXPECT_EQ(parse_load_url("http://[::1]:80").host, "::1");
  EXPECT_EQ(parse_load_url("http://box").port, "80");
  for (const char* bad : {"", "localhost", "https://a", "http://", "http://a:x", "http://a/b",
                          "http://u@a", "http://[::1"})
    EXPECT_THROW(parse_load_url(bad), Error) << bad;
}

TEST(Load, Percentiles) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  const Percentiles p = percentiles(values);
  EXPECT_EQ(p.p50, 50);
  EXPECT_EQ(p.p95, 95);
  EXPECT_EQ(p.p99, 99);
  EXPECT_EQ(p.max, 100);
  EXPECT_EQ(percentiles({}).max, 0);
}

TEST(LoadTrace, ReadsBothForms) {
  const auto azure = parse_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
      "2023-11-16 18:17:03.5,4808,10\r\n2023-11-16 18:18:04.0,3180,8\r\n");
  ASSERT_EQ(azure.size(), 2u);
  EXPECT_DOUBLE_EQ(azure[1].seconds, 60.5);
  EXPECT_EQ(azure[1].prompt_tokens, 3180);
  const auto mooncake = parse_trace(
      "{\"timestamp\": 3000, \"input_length\": 7, \"output_length\": 5, \"hash_ids\": [0]}\n"
      "{\"timestamp\": 1000, \"input_length\": 6, \"output_length\": 4}\n");
  ASSERT_EQ(mooncake.size(), 2u);
  EXPECT_EQ(mooncake[0].prompt_tokens, 6);
  EXPECT_DOUBLE_EQ(mooncake[1].seconds, 2);
}

TEST(LoadTrace, PublishedTracesKeepTheirPace) {
  const auto file = test::shared_data("traces/AzureLLMInferenceTrace_conv.csv");
  if (!file) GTEST_SKIP() << "shared test data is not here (WEIR_SHARED)";
  const auto arrivals = parse_trace(read_file(*file, uint64_t{1} << 28));
  ASSERT_EQ(arrivals.size(), 19366u);  // rows of the file, counted with wc
  EXPECT_EQ(arrivals[0].prompt_tokens, 374);
  EXPECT_NEAR(arrivals[1].seconds, 4.3145790, 1e-6);
  EXPECT_EQ(arrivals[1].generated_tokens, 109);
  // Its first 60 s within 3 s against a server: no more requests begin than rows lie in that time,
  // and most of them even on a machine that is busy with something else.
  int64_t expected = 0;
  while (arrivals[static_cast<size_t>(expected)].seconds <= 60) ++expected;
  test::TestServer server;
  LoadOptions options;
  options.trace = arrivals;
  options.speed = 20;
  options.seconds = 3;
  options.max_prompt = 20;
  options.allow_shed = true;
  const LoadReport report = run_load(target_of(server.port()), options);
  EXPECT_LE(report.requests, expected + 2);
  EXPECT_GE(report.requests, expected / 2);
  EXPECT_EQ(report.errors, 0) << load_table(report);
  EXPECT_GT(report.within_deadlines, 0);
  EXPECT_GE(report.seconds, 2.5);
}

TEST(LoadTrace, RefusesWithTheLine) {
  for (const char* bad :
       {"", "x", "{}", "{\"timestamp\":-1,\"input_length\":1,\"output_length\":1}",
        "TIMESTAMP,a,b\n2023-11-16 18:17:03.5,x,1\n", "TIMESTAMP,a,b\nyesterday,1,1\n",
        "TIMESTAMP,a,b\n2023-11-16 18:17:03.5\n"})
    EXPECT_THROW(parse_trace(bad), Error) << bad;
}

}  // namespace
}  // namespace weir
