#include "server/load_client.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "server/openai_client.h"

namespace weir {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using std::chrono::steady_clock;

constexpr size_t kReadBytes = 16 << 10;
constexpr int kSlowReceiveBuffer = 4 << 10;
constexpr uint64_t kLargestAnswer = uint64_t{256} << 20;
constexpr std::chrono::seconds kIdleMost{2};  // servers close what is idle for longer

double since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

std::chrono::nanoseconds nanoseconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
}

/// The state of one answer while its bytes come.
class AnswerReader {
 public:
  AnswerReader(ExchangeResult& result, steady_clock::time_point start)
      : result_(result), start_(start) {
    parser_.body_limit(kLargestAnswer);
    parser_.eager(true);
  }

  bool is_done() const { return parser_.is_done(); }
  bool keeps_alive() const { return parser_.is_done() && parser_.keep_alive(); }
  bool is_stream() const {
    return parser_.is_header_done() && parser_.get().result() == http::status::ok;
  }
  int64_t pieces() const { return pieces_; }

  void push(beast::flat_buffer& buffer) {
    while (buffer.size() > 0 && !parser_.is_done()) {
      beast::error_code error;
      buffer.consume(parser_.put(buffer.data(), error));
      if (error == http::error::need_more) break;
      if (error) fail(Code::bad_format, "the answer is no HTTP: {}", error.message());
    }
    if (!is_stream()) return;
    std::string& body = parser_.get().body();
    take(stream_.push(body));
    body.clear();
  }

  /// The server closed the connection: the end of an answer without a length.
  void end_of_file() {
    beast::error_code error;
    if (parser_.got_some()) parser_.put_eof(error);
    if (error || !parser_.is_done())
      fail(Code::io, "the connection ended in the middle of the answer");
  }

  void finish() {
    result_.status = static_cast<int>(parser_.get().result_int());
    if (result_.status == 200) {
      if (!result_.error.empty()) return;
      if (done_ && !result_.finish.empty())
        result_.end = ExchangeEnd::finished;
      else
        result_.error = "the stream ended without finish_reason and [DONE]";
      return;
    }
    const bool full = result_.status == 429 || result_.status == 503;
    if (full && parser_.get().find(http::field::retry_after) != parser_.get().end())
      result_.end = ExchangeEnd::shed;
    result_.error = read_openai_answer(parser_.get().body()).error;
    if (result_.error.empty()) result_.error = "an error without an error object";
  }

 private:
  void take(const ReadAnswer& answer) {
    for (const AnswerPiece& piece : answer.pieces) {
      if (!piece.finish.empty()) result_.finish = piece.finish;
      if (piece.text.empty()) continue;
      const double now = since(start_);
      if (pieces_ == 0)
        result_.first_piece_seconds = now;
      else
        result_.gaps.push_back(now - last_);
      last_ = now;
      ++pieces_;
      result_.text += piece.text;
    }
    if (answer.usage) {
      result_.prompt_tokens = answer.usage->prompt_tokens;
      result_.cached_tokens = answer.usage->cached_tokens;
      result_.generated_tokens = answer.usage->generated_tokens;
    } else if (!answer.pieces.empty() && result_.prompt_tokens == 0) {
      result_.generated_tokens = pieces_;
    }
    if (!answer.error.empty()) result_.error = answer.error;
    done_ = done_ || answer.done;
  }

  ExchangeResult& result_;
  steady_clock::time_point start_;
  http::response_parser<http::string_body> parser_;
  OpenAiStreamReader stream_;
  int64_t pieces_ = 0;
  double last_ = 0;
  bool done_ = false;
};

asio::awaitable<beast::tcp_stream> connect(const asio::ip::tcp::resolver::results_type& addresses,
                                           bool slow) {
  asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
  if (slow) {  // before connecting: the window follows from it
    socket.open(addresses.begin()->endpoint().protocol());
    socket.set_option(asio::socket_base::receive_buffer_size(kSlowReceiveBuffer));
    co_await socket.async_connect(addresses.begin()->endpoint(), asio::use_awaitable);
  } else {
    co_await asio::async_connect(socket, addresses, asio::use_awaitable);
  }
  socket.set_option(asio::ip::tcp::no_delay(true));
  co_return beast::tcp_stream(std::move(socket));
}

http::request<http::string_body> request_of(const LoadTarget& target, const Exchange& exchange) {
  http::request<http::string_body> request{http::verb::post, exchange.path, 11};
  request.set(http::field::host, target.host + ":" + target.port);
  request.set(http::field::content_type, "application/json");
  if (!target.key.empty()) request.set(http::field::authorization, "Bearer " + target.key);
  request.body() = exchange.body;
  request.prepare_payload();
  return request;
}

/// Asks and reads the answer; says whether the connection can be used again.
asio::awaitable<bool> ask(beast::tcp_stream& stream, const LoadTarget& target,
                          const Exchange& exchange, ExchangeResult& result,
                          steady_clock::time_point start) {
  const auto patience = nanoseconds(target.patience_seconds);
  const auto request = request_of(target, exchange);
  stream.expires_after(patience);
  co_await http::async_write(stream, request, asio::use_awaitable);

  AnswerReader reader(result, start);
  beast::flat_buffer buffer;
  asio::steady_timer timer(stream.get_executor());
  const size_t most =
      exchange.bytes_per_second > 0 ? static_cast<size_t>(exchange.bytes_per_second) : kReadBytes;
  while (!reader.is_done()) {
    stream.expires_after(patience);
    beast::error_code error;
    const size_t bytes =
        co_await stream.async_read_some(buffer.prepare(std::min(most, kReadBytes)),
                                        asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::eof)
      reader.end_of_file();
    else if (error)
      throw boost::system::system_error(error);
    buffer.commit(bytes);
    reader.push(buffer);
    if (exchange.leave_after_pieces >= 0 && reader.is_stream() &&
        reader.pieces() >= exchange.leave_after_pieces && !reader.is_done()) {
      result.status = 200;
      result.end = ExchangeEnd::left;
      co_return false;
    }
    if (exchange.bytes_per_second > 0) {
      timer.expires_after(std::chrono::seconds(1));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }
  reader.finish();
  co_return reader.keeps_alive() && buffer.size() == 0;
}

}  // namespace

LoadTarget parse_load_url(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  const auto refuse = [&] {
    fail(Code::invalid_argument, "the URL must be http://HOST[:PORT], but it is '{}'", url);
  };
  if (!url.starts_with(kScheme)) refuse();
  std::string rest = url.substr(kScheme.size());
  if (rest.ends_with('/')) rest.pop_back();
  LoadTarget target;
  target.port = "80";
  const auto bracket = rest.starts_with('[') ? rest.find(']') : 0;
  if (bracket == std::string::npos) refuse();
  const auto colon = rest.find(':', bracket);
  if (colon != std::string::npos) target.port = rest.substr(colon + 1);
  target.host = rest.substr(0, colon);
  if (target.host.starts_with('[')) target.host = target.host.substr(1, target.host.size() - 2);
  const bool digits = std::all_of(target.port.begin(), target.port.end(),
                                  [](char c) { return c >= '0' && c <= '9'; });
  if (target.host.empty() || target.port.empty() || !digits ||
      rest.find_first_of("/@?# ") != std::string::npos)
    refuse();
  return target;
}

asio::awaitable<void> LoadClient::talk(const Exchange& exchange, ExchangeResult& result,
                                       steady_clock::time_point start) {
  const bool slow = exchange.bytes_per_second > 0;
  std::optional<beast::tcp_stream> stream;
  while (!idle_.empty() && start - idle_.front().since > kIdleMost) idle_.pop_front();
  if (!slow && !idle_.empty()) {
    stream.emplace(std::move(idle_.back().stream));
    idle_.pop_back();
  }
  if (!stream) stream.emplace(co_await connect(addresses_, slow));
  const bool again = co_await ask(*stream, target_, exchange, result, start);
  if (again && !slow) idle_.push_back({std::move(*stream), steady_clock::now()});
}

asio::awaitable<ExchangeResult> LoadClient::run(Exchange exchange) {
  ExchangeResult result;
  const auto start = steady_clock::now();
  try {
    co_await talk(exchange, result, start);
  } catch (const std::exception& error) {
    result.end = ExchangeEnd::failed;
    result.error = error.what();
  }
  result.seconds = since(start);
  co_return result;
}

}  // namespace weir
