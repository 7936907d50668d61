#include "server/http_exchange.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>

#include "base/error.h"

namespace weir {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;

std::string_view sv(beast::string_view text) { return {text.data(), text.size()}; }

/// Requests that a page of another site made a browser send.
void check_browser(const RequestParser& parser, HttpExchange& exchange, const HostPolicy& hosts,
                   std::string_view host) {
  const auto& head = parser.get();
  if (head.count(http::field::origin) == 0) {
    if (head["Sec-Fetch-Site"] == "cross-site")
      throw ApiError(403, "permission_error", "requests from other sites are not allowed");
    return;
  }
  if (head.count(http::field::origin) > 1)
    throw ApiError(403, "permission_error", "more than one Origin header");
  const std::string_view origin = sv(head[http::field::origin]);
  if (check_origin(hosts, origin, host)) exchange.cors_origin = std::string(origin);
  const std::string_view type = sv(head[http::field::content_type]);
  const std::string_view media = type.substr(0, type.find(';'));
  if (exchange.request.method == "POST" &&
      !beast::iequals(beast::string_view(media.data(), media.size()), "application/json"))
    throw ApiError(415, "invalid_request_error", "pages must send Content-Type: application/json");
}

Reply preflight() {
  Reply reply;
  reply.status = 204;
  reply.headers = {{"Access-Control-Allow-Methods", "GET, POST"},
                   {"Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key"},
                   {"Access-Control-Max-Age", "600"}};
  return reply;
}

}  // namespace

void parse_head(RequestParser& parser, std::string_view head, const ServerLimits& limits) {
  check_head(head);
  parser.header_limit(static_cast<uint32_t>(limits.head.total + 1));
  parser.body_limit(limits.body_bytes);
  boost::system::error_code error;
  const size_t used = parser.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error == http::error::body_limit)
    throw ApiError(413, "invalid_request_error",
                   fmt::format("the body has more than {} bytes", limits.body_bytes));
  if (error || !parser.is_header_done() || used != head.size())
    throw ApiError(400, "invalid_request_error", "the request header is malformed");
}

void check_request(const RequestParser& parser, HttpExchange& exchange, Service& service) {
  const auto& head = parser.get();
  HttpRequest& request = exchange.request;
  request.method = std::string(sv(head.method_string()));
  const std::string_view target = sv(head.target());
  request.path = std::string(target.substr(0, target.find('?')));
  exchange.shape = error_shape(request.path);
  bool path_known = false;
  exchange.route = find_route(request.method, request.path, path_known);
  const std::string_view host = sv(head[http::field::host]);
  check_host(service.hosts, host);
  check_browser(parser, exchange, service.hosts, host);
  if (request.method == "OPTIONS" && !exchange.cors_origin.empty()) return;
  const bool is_open = exchange.route != nullptr && exchange.route->access == Access::open;
  if (!is_open) {
    request.tenant =
        service.keys.tenant(sv(head[http::field::authorization]), sv(head["X-Api-Key"]));
    if (!service.keys.empty()) service.rate.take(request.tenant);
  }
  if (exchange.route != nullptr) return;
  if (path_known)
    throw ApiError(405, "invalid_request_error",
                   fmt::format("{} is not for the method {}", request.path, request.method));
  throw ApiError(404, "not_found_error", "there is no such route; docs/api.md lists them");
}

bool refuse_without_room(HttpExchange& exchange, Service& service) {
  try {
    service.registry.check_room();
    return false;
  } catch (const Error&) {
    service.overload.refused();
    exchange.reply = error_reply(api_error_of(std::current_exception()), exchange.shape);
    return true;
  }
}

Reply answer_to(HttpExchange& exchange, Service& service) {
  if (exchange.route == nullptr) return preflight();
  try {
    return exchange.route->handle(exchange.request, service);
  } catch (...) {
    const ApiError error = api_error_of(std::current_exception());
    if (error.status >= 500 && error.status != 503)
      service.log.write("error", "request_failed",
                        {{"path", exchange.request.path}, {"error", std::string(error.what())}});
    return error_reply(error, exchange.shape);
  }
}

std::string head_of(HttpExchange& exchange, std::optional<size_t> length, bool draining) {
  const Reply& reply = exchange.reply;
  exchange.status = reply.status;
  if (!exchange.request.path.empty() && draining) exchange.keep_alive = false;
  if (!length && exchange.http_1_0) exchange.keep_alive = false;
  const auto reason = http::obsolete_reason(static_cast<http::status>(reply.status));
  std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nServer: weir\r\nContent-Type: {}\r\nCache-Control: no-store\r\n",
      reply.status, sv(reason), reply.content_type);
  if (length)
    head += fmt::format("Content-Length: {}\r\n", *length);
  else if (!exchange.http_1_0)
    head += "Transfer-Encoding: chunked\r\n";
  if (!exchange.keep_alive)
    head += "Connection: close\r\n";
  else if (exchange.http_1_0)
    head += "Connection: keep-alive\r\n";
  if (!exchange.cors_origin.empty())
    head += "Access-Control-Allow-Origin: " + exchange.cors_origin + "\r\nVary: Origin\r\n";
  for (const auto& [name, value] : reply.headers) head += fmt::format("{}: {}\r\n", name, value);
  return head + "\r\n";
}

}  // namespace weir
