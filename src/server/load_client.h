// Streamed requests as a client makes them: connects or uses a connection again, asks, reads at a
// given pace, perhaps leaves early. Owns the sockets and the times; refuses to know plans and
// statistics.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace weir {

struct LoadTarget {
  std::string host;  // as in the URL, without brackets
  std::string port;
  std::string key;               // API key, or empty
  double patience_seconds = 60;  // between two reads
};

/// Takes "http://HOST[:PORT]" apart. Throws invalid_argument for anything else; TLS is a proxy's.
LoadTarget parse_load_url(const std::string& url);

struct Exchange {
  std::string path, body;
  int64_t leave_after_pieces = -1;  // the client leaves after so many pieces; -1: stays
  int64_t bytes_per_second = 0;     // 0: as fast as they come
};

enum class ExchangeEnd { finished, left, shed, failed };

struct ExchangeResult {
  ExchangeEnd end = ExchangeEnd::failed;
  int status = 0;  // of HTTP; 0: no answer
  std::string text, finish, error;
  int64_t prompt_tokens = 0, cached_tokens = 0;
  int64_t generated_tokens = 0;  // of the usage; without one, the pieces
  double first_piece_seconds = -1, seconds = 0;
  std::vector<double> gaps;  // seconds between two pieces with text
};

/// Asks one server, as often and as many at a time as wanted, on the executor that it is awaited
/// on.
class LoadClient {
 public:
  LoadClient(LoadTarget target, boost::asio::ip::tcp::resolver::results_type addresses)
      : target_(std::move(target)), addresses_(std::move(addresses)) {}

  /// Never throws for what the network or the server does: that is a failed result. A stream is
  /// finished when it had a finish_reason and [DONE]. 429 and 503 with Retry-After are shed. Uses a
  /// connection that an earlier answer has left open, as clients do; asks nothing twice.
  boost::asio::awaitable<ExchangeResult> run(Exchange exchange);

 private:
  struct Idle {
    boost::beast::tcp_stream stream;
    std::chrono::steady_clock::time_point since;
  };
  boost::asio::awaitable<void> talk(const Exchange& exchange, ExchangeResult& result,
                                    std::chrono::steady_clock::time_point start);

  const LoadTarget target_;
  const boost::asio::ip::tcp::resolver::results_type addresses_;
  std::deque<Idle> idle_;  // the last used at the end
};

}  // namespace weir
