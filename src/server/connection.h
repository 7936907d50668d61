// One connection: reads requests one after the other, checks them before it reads their bodies, has
// them handled, and writes the answers as they come. Owns the socket.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/http_exchange.h"
#include "server/service.h"

namespace weir {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `socket` has a strand as its executor.
  Connection(boost::asio::ip::tcp::socket socket, Service& service,
             boost::asio::thread_pool& workers);
  ~Connection();

  /// Serves until the connection is closed. Never throws.
  boost::asio::awaitable<void> run();

  // From any thread. The reference goes to the connection's strand, where alone its last one may
  // end: handlers of its timers may still run there.

  /// Closes the connection if it is between two requests.
  static void close_if_idle(std::shared_ptr<Connection> self);
  /// Closes it in any case.
  static void close_now(std::shared_ptr<Connection> self);

 private:
  template <typename T>
  using awaitable = boost::asio::awaitable<T>;
  using Ms = std::chrono::milliseconds;

  awaitable<bool> serve_one();
  awaitable<std::optional<size_t>> read_head();
  awaitable<bool> read_body(RequestParser& parser, HttpExchange& exchange);
  /// Without a worker: what needs none, and refusals of a full queue.
  bool answered_at_once(HttpExchange& exchange);
  // Coroutines get what they work on in `exchange`, which outlives them; g++ 12 does not always
  // keep objects that are passed to a coroutine by value.
  awaitable<void> handle(const std::shared_ptr<HttpExchange>& exchange);
  static void work(std::shared_ptr<Connection> self,
                   std::shared_ptr<HttpExchange> exchange) noexcept;
  awaitable<bool> send(HttpExchange& exchange);
  awaitable<bool> send_generation(HttpExchange& exchange);
  awaitable<bool> send_pieces(HttpExchange& exchange);
  awaitable<void> wait(std::chrono::steady_clock::time_point until);
  awaitable<bool> write(std::string_view bytes);
  awaitable<void> linger();
  std::function<void()> waker();
  void watch(std::shared_ptr<std::atomic<bool>> cancelled);
  void watch_on(std::shared_ptr<std::atomic<bool>> cancelled) noexcept;
  awaitable<void> stop_watching();
  void report(const HttpExchange& exchange);
  void say_failed(const std::exception& error) noexcept;

  boost::beast::tcp_stream stream_;
  Service& service_;
  boost::asio::thread_pool& workers_;
  boost::beast::flat_buffer buffer_;
  boost::asio::steady_timer wake_;
  boost::asio::cancellation_signal stop_watch_;
  bool watching_ = false;       // a read waits for the client to leave, or for its next request
  bool stop_watching_ = false;  // and shall not be started again
  bool gone_ = false;           // the client has left
  bool idle_ = true;            // between two requests
  bool first_ = true;           // no request was read yet
  bool answering_ = false;      // bytes of the answer may be out
  bool closing_ = false;
  std::string peer_;
};

}  // namespace weir
