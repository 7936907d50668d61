// The HTTP server: a listening socket, a few threads, one coroutine a connection. Owns sockets,
// limits in time and number, and the way it shuts down; refuses to know what the routes do.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/service.h"

namespace weir {

struct ListenOptions {
  std::string host = "127.0.0.1";  // an address, or "localhost"
  uint16_t port = 8080;            // 0: any free one
  int io_threads = 2;              // for sockets
  int workers = 8;                 // for handlers that load, tokenize, wait
};

class HttpServer {
 public:
  /// Binds and begins to serve. Throws invalid_argument for a host that is no address, io when the
  /// port is taken. `service` must outlive the server.
  HttpServer(const ListenOptions& options, Service& service);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  int64_t connections() const;

  /// Closes the listener and idle connections at once, lets running answers go on for `seconds`,
  /// ends what is left with an error, and returns when all are gone. May be called again from
  /// another thread, to hurry.
  void drain(double seconds);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir
