// Any bytes as the head and body of an HTTP request: our checks first, then the parser behind them.
// The only way out of the checks is ApiError with a 4xx or 5xx; what they accept has exactly one
// Host and one meaning of its length, and the parser reads the same head.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/access.h"
#include "server/api_error.h"
#include "server/framing.h"
#include "server/routes.h"

namespace {

namespace http = boost::beast::http;

void require(bool condition) {
  if (!condition) std::abort();
}

void parse(std::string_view bytes, size_t head) {
  http::request_parser<http::string_body> parser;
  parser.header_limit(1 << 16);
  parser.body_limit(1 << 16);
  boost::system::error_code error;
  const size_t used = parser.put(boost::asio::buffer(bytes.data(), head), error);
  if (error == http::error::body_limit) return;
  if (error) return;  // the parser may refuse more
  require(used == head && parser.is_header_done());
  require(parser.get().count(http::field::host) == 1);
  require(!(parser.chunked() && parser.content_length()));
  const auto target = parser.get().target();
  bool known = false;
  weir::find_route("POST", {target.data(), target.size()}, known);
  const auto host = parser.get()[http::field::host];
  const auto origin = parser.get()[http::field::origin];
  try {
    weir::check_host({}, {host.data(), host.size()});
    weir::check_origin({}, {origin.data(), origin.size()}, {host.data(), host.size()});
  } catch (const weir::ApiError& refused) {
    require(refused.status == 400 || refused.status == 403);
  }
  for (size_t at = head; at < bytes.size() && !parser.is_done() && !error;) {
    const size_t more =
        parser.put(boost::asio::buffer(bytes.data() + at, bytes.size() - at), error);
    if (more == 0) break;
    at += more;
  }
  require(parser.get().body().size() <= bytes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const auto head = weir::find_head(bytes, {});
    if (!head) return 0;
    require(*head <= size);
    weir::check_head(bytes.substr(0, *head));
    parse(bytes, *head);
  } catch (const weir::ApiError& error) {
    require(error.status >= 400 && error.status < 600);
  }
  return 0;
}
