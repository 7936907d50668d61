// One request and its answer, without the socket: what is checked before the body is read, which
// handler answers, what the head of the response says. Refuses to read, write or wait.
#pragma once

#include <atomic>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "server/http.h"
#include "server/routes.h"
#include "server/service.h"

namespace weir {

using RequestParser = boost::beast::http::request_parser<boost::beast::http::string_body>;

/// What a request is told and remembered by, also where it could not be read.
struct HttpExchange {
  std::chrono::steady_clock::time_point start;
  const Route* route = nullptr;
  ErrorShape shape = ErrorShape::openai;
  HttpRequest request;
  std::string cors_origin;
  bool keep_alive = false;
  bool http_1_0 = false;
  int status = 0;
  uint64_t bytes_out = 0;
  Reply reply;
  std::string out;  // bytes that go next

  // Of a handler on a worker: once `handled`, the reply or why there is none.
  std::exception_ptr failure;
  std::atomic<bool> handled = false;
};

/// Reads the head of a request with `parser`. Throws ApiError.
void parse_head(RequestParser& parser, std::string_view head, const ServerLimits& limits);

/// Fills in what can be said without the body. Throws ApiError for what is refused: host, origin,
/// key, rate, method, route.
void check_request(const RequestParser& parser, HttpExchange& exchange, Service& service);

/// Whether the engine is known to take no more requests; then the reply says so. At the cost of no
/// other thread and no look at the body: under overload most requests end here.
bool refuse_without_room(HttpExchange& exchange, Service& service);

/// The handler's reply, or its error as one.
Reply answer_to(HttpExchange& exchange, Service& service);

/// Status line and headers of the reply, with the empty line; chunked without a `length`.
std::string head_of(HttpExchange& exchange, std::optional<size_t> length, bool draining);

}  // namespace weir
