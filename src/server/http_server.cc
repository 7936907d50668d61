#include "server/http_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <list>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "server/connection.h"

namespace weir {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAcceptPause{100};  // after an error such as too many files
constexpr std::chrono::seconds kLastWords{5};           // to write what is left after draining

/// The whole answer to a connection beyond the limit.
std::string too_many() {
  ApiError error(503, "unavailable_error", "too many connections; try again later");
  const std::string body = error_body(error, ErrorShape::openai) + "\n";
  return fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
      "Connection: close\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
}

tcp::endpoint endpoint_of(const ListenOptions& options) {
  boost::system::error_code error;
  const std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
  const auto address = asio::ip::make_address(host, error);
  if (error)
    fail(Code::invalid_argument, "'{}' is no address to listen on; give one such as 127.0.0.1",
         options.host);
  return {address, options.port};
}

}  // namespace

struct HttpServer::Impl {
  explicit Impl(const ListenOptions& options, Service& s)
      : service(s), context(options.io_threads), acceptor(context), workers(options.workers) {}

  void listen(const tcp::endpoint& endpoint) {
    boost::system::error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error)
      fail(Code::io, "cannot listen on {} port {}: {}", endpoint.address().to_string(),
           endpoint.port(), error.message());
    port = acceptor.local_endpoint().port();
  }

  /// Takes connections until the listener is shut. A thread of its own, not a coroutine: a failed
  /// allocation ends at most the connection it was for.
  void accept() noexcept {
    while (!shut) {
      boost::system::error_code error;
      try {
        tcp::socket socket(asio::make_strand(context));
        acceptor.accept(socket, error);
        if (!error && !shut) begin(std::move(socket));
      } catch (const std::exception& failure) {
        say("connection_failed", failure);
      }
      if (error && !shut) std::this_thread::sleep_for(kAcceptPause);
    }
  }

  void say(const char* event, const std::exception& failure) noexcept {
    try {
      service.log.write("error", event, {{"error", std::string(failure.what())}});
    } catch (const std::exception&) {  // no memory for a line either
    }
  }

  /// Handlers that could not be run (no memory) are lost; the others go on.
  void run() noexcept {
    while (true) {
      try {
        while (!context.stopped()) {
          if (service.overload.lasts()) {
            service.overload.wait();
            context.poll();
          } else {
            context.run_one();
          }
        }
        return;
      } catch (const std::exception& failure) {
        say("handler_failed", failure);
      }
    }
  }

  void begin(tcp::socket socket) {
    if (open >= service.limits.connections) {
      boost::system::error_code ignored;
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(too_many()), ignored);
      return;
    }
    const auto executor = socket.get_executor();
    auto connection = std::make_shared<Connection>(std::move(socket), service, workers);
    service.metrics.connections(++open);
    std::shared_ptr<void> counted(nullptr, [this](void*) { service.metrics.connections(--open); });
    {
      const std::lock_guard lock(mutex);
      std::erase_if(all, [](const auto& weak) { return weak.expired(); });
      all.push_back(connection);
    }
    auto serving = connection->run();
    asio::co_spawn(executor, std::move(serving),
                   [counted = std::move(counted),
                    connection = std::move(connection)](const std::exception_ptr&) {});
  }

  template <typename Action>
  void for_each(Action action) {
    const std::lock_guard lock(mutex);
    for (const auto& weak : all)
      if (auto connection = weak.lock()) action(std::move(connection));
  }

  void close_listener() {
    shut = true;
    const std::lock_guard lock(closing);  // a second drain() hurries the first
    if (!listening.joinable()) return;
    ::shutdown(acceptor.native_handle(), SHUT_RDWR);  // ends the accept() that waits
    listening.join();
    boost::system::error_code ignored;
    acceptor.close(ignored);
  }

  void wait_until_empty(steady_clock::time_point until) const {
    while (open > 0 && steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }

  Service& service;
  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  tcp::acceptor acceptor;
  asio::thread_pool workers;
  uint16_t port = 0;
  std::atomic<int64_t> open = 0;
  std::mutex mutex;
  std::list<std::weak_ptr<Connection>> all;
  std::vector<std::thread> threads;
  std::atomic<bool> shut = false;
  std::mutex closing;
  std::thread listening;
};

HttpServer::HttpServer(const ListenOptions& options, Service& service)
    : impl_(std::make_unique<Impl>(options, service)) {
  impl_->listen(endpoint_of(options));
  impl_->listening = std::thread([impl = impl_.get()] { impl->accept(); });
  for (int i = 0; i < options.io_threads; ++i)
    impl_->threads.emplace_back([impl = impl_.get()] { impl->run(); });
}

HttpServer::~HttpServer() {
  impl_->close_listener();
  impl_->for_each(Connection::close_now);
  impl_->wait_until_empty(steady_clock::now() + kLastWords);
  impl_->workers.join();
  impl_->context.stop();
  for (std::thread& thread : impl_->threads) thread.join();
}

uint16_t HttpServer::port() const { return impl_->port; }
int64_t HttpServer::connections() const { return impl_->open; }

void HttpServer::drain(double seconds) {
  impl_->service.draining = true;
  impl_->close_listener();
  impl_->for_each(Connection::close_if_idle);
  impl_->service.registry.drain(seconds);
  impl_->wait_until_empty(steady_clock::now() +
                          (seconds > 0 ? kLastWords : std::chrono::seconds(0)));
  impl_->for_each(Connection::close_now);
  impl_->wait_until_empty(steady_clock::now() + std::chrono::milliseconds(500));
}

}  // namespace weir
