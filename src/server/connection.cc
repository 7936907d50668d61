#include "server/connection.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include "base/error.h"
#include "server/generation.h"

namespace weir {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using std::chrono::steady_clock;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kReadBytes = 8 << 10;
constexpr size_t kReadAhead = 64 << 10;   // bytes of later requests that are kept
constexpr size_t kWriteBytes = 64 << 10;  // handed to the socket at once
constexpr int kSocketBytes = 128 << 10;   // the system's share of what a slow reader leaves waiting
constexpr size_t kLingerBytes = 256 << 10;  // of a refused body, read so that the answer arrives
constexpr std::chrono::seconds kLingerTime{1};
constexpr std::chrono::seconds kHeadAfter{5};  // a stream's head goes out even without a token
constexpr std::chrono::seconds kLookAgain{1};  // for events whose call could not be made: no memory

/// What a client is told where an answer cannot be put together.
constexpr std::string_view kFailed =
    "HTTP/1.1 503 Service Unavailable\r\nServer: weir\r\nContent-Type: application/json\r\n"
    "Retry-After: 1\r\nConnection: close\r\nContent-Length: 107\r\n\r\n"
    R"({"error":{"message":"out of memory; try again later","type":"unavailable_error","param":null,"code":null}})"
    "\n";

std::string_view view(const beast::flat_buffer& buffer) {
  const auto data = buffer.data();
  return {static_cast<const char*>(data.data()), data.size()};
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, Service& service, asio::thread_pool& workers)
    : stream_(std::move(socket)),
      service_(service),
      workers_(workers),
      buffer_(service.limits.head.total + kReadAhead),
      wake_(stream_.get_executor()) {
  boost::system::error_code ignored;
  const auto peer = stream_.socket().remote_endpoint(ignored);
  if (!ignored) peer_ = peer.address().to_string();
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  stream_.socket().set_option(asio::socket_base::send_buffer_size(kSocketBytes), ignored);
}

Connection::~Connection() = default;

asio::awaitable<void> Connection::run() {
  const auto self = shared_from_this();
  try {
    while (co_await serve_one()) continue;
    co_await stop_watching();
  } catch (const std::exception& error) {  // no memory, or a contract of ours
    say_failed(error);
  }
  boost::system::error_code ignored;
  stream_.socket().close(ignored);
}

/// The last word where the usual way to an answer failed: needs no memory of its own.
void Connection::say_failed(const std::exception& error) noexcept {
  boost::system::error_code ignored;
  if (!idle_ && !answering_) {
    stream_.socket().non_blocking(true, ignored);
    stream_.socket().write_some(asio::buffer(kFailed), ignored);
  }
  try {
    service_.log.write("error", "connection_failed", {{"error", std::string(error.what())}});
  } catch (const std::exception&) {  // nor for a line
  }
}

void Connection::close_if_idle(std::shared_ptr<Connection> self) {
  const auto executor = self->stream_.get_executor();
  asio::post(executor, [self = std::move(self)] {
    self->closing_ = true;
    boost::system::error_code ignored;
    if (self->idle_) self->stream_.socket().close(ignored);
  });
}

void Connection::close_now(std::shared_ptr<Connection> self) {
  const auto executor = self->stream_.get_executor();
  asio::post(executor, [self = std::move(self)] {
    self->closing_ = true;
    boost::system::error_code ignored;
    self->stream_.socket().close(ignored);
    self->gone_ = true;
    self->wake_.cancel();
  });
}

asio::awaitable<bool> Connection::serve_one() {
  const auto shared = std::make_shared<HttpExchange>();
  HttpExchange& exchange = *shared;
  RequestParser parser;
  answering_ = false;
  std::optional<ApiError> refused;
  bool complete = false;
  try {
    const auto head = co_await read_head();
    if (!head) co_return false;
    exchange.start = steady_clock::now();
    parse_head(parser, view(buffer_).substr(0, *head), service_.limits);
    buffer_.consume(*head);
    exchange.http_1_0 = parser.get().version() < 11;
    check_request(parser, exchange, service_);
    complete = co_await read_body(parser, exchange);
    if (!complete) co_return false;
    exchange.keep_alive = parser.keep_alive();
  } catch (const ApiError& error) {
    refused = error;
  }
  if (refused) {
    if (exchange.start == steady_clock::time_point()) exchange.start = steady_clock::now();
    exchange.reply = error_reply(*refused, exchange.shape);
    co_await send(exchange);
    report(exchange);
    co_await linger();
    co_return false;
  }
  exchange.request.body = std::move(parser.get().body());
  if (!answered_at_once(exchange)) {
    watch(exchange.request.cancelled);
    co_await handle(shared);
  }
  bool ok = false;
  if (exchange.reply.generation)
    ok = co_await send_generation(exchange);
  else
    ok = co_await send(exchange);
  co_await stop_watching();
  report(exchange);
  co_return ok&& exchange.keep_alive && !gone_ && !closing_ && !service_.draining;
}

asio::awaitable<std::optional<size_t>> Connection::read_head() {
  const ServerLimits& limits = service_.limits;
  std::optional<steady_clock::time_point> deadline;
  if (first_) deadline = steady_clock::now() + limits.header_time;
  while (true) {
    if (const auto head = find_head(view(buffer_), limits.head)) {
      idle_ = first_ = false;
      co_return head;
    }
    idle_ = buffer_.size() == 0;
    if (idle_ && closing_) co_return std::nullopt;
    if (!idle_ && !deadline) deadline = steady_clock::now() + limits.header_time;
    if (deadline)
      stream_.expires_at(*deadline);
    else
      stream_.expires_after(limits.keep_alive);
    const auto [error, bytes] =
        co_await stream_.async_read_some(buffer_.prepare(kReadBytes), kTuple);
    if (error) co_return std::nullopt;
    buffer_.commit(bytes);
  }
}

asio::awaitable<bool> Connection::read_body(RequestParser& parser, HttpExchange& exchange) {
  if (parser.is_done()) co_return true;
  if (beast::iequals(parser.get()[http::field::expect], "100-continue") && !exchange.http_1_0 &&
      buffer_.size() == 0) {
    if (!co_await write("HTTP/1.1 100 Continue\r\n\r\n")) co_return false;
  }
  while (!parser.is_done()) {
    stream_.expires_after(service_.limits.body_idle);
    const auto [error, bytes] = co_await http::async_read_some(stream_, buffer_, parser, kTuple);
    if (error == http::error::body_limit)
      throw ApiError(413, "invalid_request_error",
                     fmt::format("the body has more than {} bytes", service_.limits.body_bytes));
    if (error && error.category() == make_error_code(http::error::end_of_stream).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message)
      throw ApiError(400, "invalid_request_error", "the request body is malformed");
    if (error) co_return false;
  }
  co_return true;
}

bool Connection::answered_at_once(HttpExchange& exchange) {
  if (exchange.route == nullptr || exchange.route->place == Place::connection) {
    exchange.reply = answer_to(exchange, service_);
    return true;
  }
  return exchange.route->place == Place::queue && refuse_without_room(exchange, service_);
}

asio::awaitable<void> Connection::handle(const std::shared_ptr<HttpExchange>& exchange) {
  asio::post(workers_, [self = shared_from_this(), given = exchange]() mutable {
    work(std::move(self), std::move(given));
  });
  while (!exchange->handled) {
    wake_.expires_after(kLookAgain);
    co_await wake_.async_wait(kTuple);
  }
  if (exchange->failure) std::rethrow_exception(exchange->failure);
}

/// On a worker's thread, which nothing may end. Gives both back to the strand: what ends there may
/// not be ended here.
void Connection::work(std::shared_ptr<Connection> self,
                      std::shared_ptr<HttpExchange> exchange) noexcept {
  try {
    exchange->reply = answer_to(*exchange, self->service_);
  } catch (...) {
    exchange->failure = std::current_exception();
  }
  exchange->handled = true;
  try {
    const auto executor = self->stream_.get_executor();
    asio::post(executor,
               [self = std::move(self), exchange = std::move(exchange)] { self->wake_.cancel(); });
  } catch (const std::exception&) {  // the connection looks again by itself
  }
}

asio::awaitable<bool> Connection::send(HttpExchange& exchange) {
  exchange.out = head_of(exchange, exchange.reply.body.size(), service_.draining);
  if (gone_) exchange.status = 499;
  exchange.out += exchange.reply.body;
  answering_ = true;
  exchange.bytes_out += exchange.reply.body.size();
  co_return co_await write(exchange.out);
}

asio::awaitable<bool> Connection::send_generation(HttpExchange& exchange) {
  Reply& reply = exchange.reply;
  Generation& generation = *reply.generation;
  // Until the head is out, a failure can still be told as a status.
  const auto head_time = steady_clock::now() + kHeadAfter;
  const auto most = generation.streams() ? head_time : steady_clock::time_point::max();
  while (!generation.over()) {
    if (generation.streams() && (generation.started() || steady_clock::now() >= head_time)) break;
    if (gone_ || generation.overflowed()) {
      exchange.status = 499;
      co_return false;
    }
    if (!generation.take(reply.body, waker())) co_await wait(most);
  }
  if (generation.error()) {
    exchange.reply = error_reply(*generation.error(), exchange.shape);
    co_return co_await send(exchange);
  }
  reply.content_type = std::string(generation.content_type());
  if (!generation.streams()) co_return co_await send(exchange);
  exchange.out = head_of(exchange, std::nullopt, service_.draining);
  answering_ = true;
  if (!co_await write(exchange.out)) co_return false;
  co_return co_await send_pieces(exchange);
}

asio::awaitable<bool> Connection::send_pieces(HttpExchange& exchange) {
  Generation& generation = *exchange.reply.generation;
  std::string& body = exchange.reply.body;
  while (true) {
    if (generation.error()) body += generation.error_bytes();
    if (!body.empty()) {
      exchange.bytes_out += body.size();
      exchange.out =
          exchange.http_1_0 ? body : fmt::format("{:x}\r\n", body.size()) + body + "\r\n";
      body.clear();
      if (!co_await write(exchange.out)) break;
    }
    if (generation.over()) {
      if (exchange.http_1_0) co_return true;
      co_return co_await write("0\r\n\r\n");
    }
    if (gone_) break;
    if (generation.overflowed()) {
      service_.metrics.slow_reader_cut();
      break;
    }
    if (!generation.take(body, waker())) co_await wait(steady_clock::time_point::max());
  }
  exchange.status = 499;
  co_return false;
}

std::function<void()> Connection::waker() {
  return [weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    const auto executor = self->stream_.get_executor();
    asio::post(executor, [self = std::move(self)] { self->wake_.cancel(); });
  };
}

asio::awaitable<void> Connection::wait(steady_clock::time_point until) {
  if (gone_) co_return;
  wake_.expires_at(std::min(until, steady_clock::now() + kLookAgain));
  co_await wake_.async_wait(kTuple);
}

/// False if the reader is gone or took nothing for too long; the connection is of no use then.
asio::awaitable<bool> Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    stream_.expires_after(service_.limits.write_stall);
    const auto piece = bytes.substr(0, kWriteBytes);
    const auto [error, written] =
        co_await stream_.async_write_some(asio::buffer(piece.data(), piece.size()), kTuple);
    if (error) {
      if (error == beast::error::timeout) service_.metrics.slow_reader_cut();
      gone_ = true;
      co_return false;
    }
    bytes.remove_prefix(written);
  }
  co_return true;
}

/// A socket closed with unread bytes resets the connection, and the client may never see why its
/// request was refused: so read on for a moment.
asio::awaitable<void> Connection::linger() {
  boost::system::error_code ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  buffer_.consume(buffer_.size());
  stream_.expires_after(kLingerTime);
  for (size_t total = 0; total < kLingerBytes;) {
    const auto [error, bytes] =
        co_await stream_.async_read_some(buffer_.prepare(kReadBytes), kTuple);
    if (error) co_return;
    total += bytes;
  }
}

/// Waits for the client to leave while its answer is made. What comes instead is its next request.
void Connection::watch(std::shared_ptr<std::atomic<bool>> cancelled) {
  stop_watching_ = false;
  if (watching_ || buffer_.size() >= kReadAhead / 2) return;
  auto done = [self = shared_from_this(), cancelled](boost::system::error_code error,
                                                     size_t bytes) mutable {
    self->watching_ = false;
    if (!error) {
      self->buffer_.commit(bytes);
      self->watch_on(std::move(cancelled));
    } else if (error != asio::error::operation_aborted || !self->stop_watching_) {
      self->gone_ = true;
      *cancelled = true;
    }
    self->wake_.cancel();
  };
  stream_.socket().async_read_some(
      buffer_.prepare(kReadBytes),
      asio::bind_cancellation_slot(stop_watch_.slot(), std::move(done)));
  watching_ = true;
}

/// The next read of a watch. Without memory for it, a client that leaves is found when it is
/// written to.
void Connection::watch_on(std::shared_ptr<std::atomic<bool>> cancelled) noexcept {
  if (stop_watching_) return;
  try {
    watch(std::move(cancelled));
  } catch (const std::exception&) {
  }
}

asio::awaitable<void> Connection::stop_watching() {
  stop_watching_ = true;
  if (watching_) stop_watch_.emit(asio::cancellation_type::all);
  while (watching_) {
    wake_.expires_at(steady_clock::time_point::max());
    co_await wake_.async_wait(kTuple);
  }
}

void Connection::report(const HttpExchange& exchange) {
  const double seconds =
      std::chrono::duration<double>(steady_clock::now() - exchange.start).count();
  const int status = exchange.status;
  if (gone_) service_.metrics.disconnected();
  service_.metrics.response(exchange.route == nullptr ? "other" : exchange.route->path, status,
                            seconds);
  service_.log.write("info", "request",
                     {{"peer", peer_},
                      {"method", exchange.request.method},
                      {"path", exchange.request.path},
                      {"status", int64_t{status}},
                      {"seconds", seconds},
                      {"bytes", static_cast<int64_t>(exchange.bytes_out)}});
}

}  // namespace weir
