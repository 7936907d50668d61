// Requests and replies as handlers see them: no sockets, no parser. What stands between the
// connection and the API.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir {

class Generation;

struct HttpRequest {
  std::string method, path;  // path without the query
  std::string body;
  std::string tenant;
  /// Becomes true when the client has gone.
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  /// If set, the body comes from it.
  std::unique_ptr<Generation> generation;

  Reply();
  Reply(Reply&&) noexcept;
  Reply& operator=(Reply&&) noexcept;
  ~Reply();
};

}  // namespace weir
