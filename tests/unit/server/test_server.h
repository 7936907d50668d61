// A server over fake engines on a free loopback port, and a client that writes raw bytes.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "server/http_server.h"
#include "unit/server/fake_engine.h"

namespace weir::test {

struct TestServerOptions {
  FakeOptions engine;
  std::vector<ModelSource> models = {{"fake", "", true}, {"other", "", false}};
  std::vector<std::string> keys;
  HostPolicy hosts;
  ServerLimits limits;
};

class TestServer {
 public:
  explicit TestServer(TestServerOptions options = {});

  uint16_t port() const { return server_->port(); }
  HttpServer& server() { return *server_; }
  /// Of the model "fake".
  FakeEngine& engine();
  /// What was logged, once it is `lines` events (the last of a request comes after its answer) or
  /// five seconds have passed.
  std::string log(int lines) const;
  ModelRegistry& registry() { return registry_; }

 private:
  std::shared_ptr<std::pair<std::mutex, std::string>> log_text_;
  EventLog log_;
  Metrics metrics_;
  ModelRegistry registry_;
  Service service_;
  std::unique_ptr<HttpServer> server_;
};

struct Response {
  int status = 0;  // 0: the server closed without an answer
  std::string head, body;
  std::string header(std::string name) const;
  nlohmann::json json() const { return nlohmann::json::parse(body); }
};

/// A connected socket. Reads end after `patience`.
class Client {
 public:
  explicit Client(uint16_t port, int receive_buffer = 0);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(std::string_view bytes);
  /// Some bytes; empty at the end of the stream or when the time is over.
  std::string read_some();
  /// Until the server closes, or nothing comes.
  std::string read_all();
  /// One whole response, chunked bodies joined.
  Response read_response();
  void reset();  // closes with RST
  void half_close();
  bool closed_by_server();
  std::chrono::milliseconds patience{5000};

 private:
  int fd_;
  std::string buffer_;
};

/// One request on a connection of its own. `headers`: further lines, each with CR LF.
Response request(uint16_t port, const std::string& method, const std::string& path,
                 const std::string& body = "", const std::string& headers = "");

/// The whole text of a POST with these members and a Content-Length.
std::string post_bytes(const std::string& path, const std::string& body,
                       const std::string& headers = "");

/// The data of server-sent events, in order.
std::vector<std::string> sse_data(const std::string& body);

}  // namespace weir::test
