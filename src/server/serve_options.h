// How a server is set up, declared once: the flags of `weir serve` come from here. What concerns an
// engine (threads, context, KV type, memory, batch) is in lab/policy.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "server/http_server.h"

namespace weir {

struct ServeOptions {
  std::string host = "127.0.0.1";
  int32_t port = 8080;
  std::string models;  // folder
  std::string key_file;
  std::vector<std::string> allow_host, allow_origin;
  bool allow_public_without_key = false;
  double keep_alive = 300;
  int32_t rate = 600;
  int32_t max_connections = 4096;
  int32_t max_body = 16;  // MiB
  double max_seconds = 3600;
  double drain = 30;
  std::string log = "text";
};

const OptionTable<ServeOptions>& serve_options();

ServerLimits server_limits(const ServeOptions& options);

/// Throws invalid_argument if the address is reachable from elsewhere, no key is set, and that was
/// not asked for by name.
void check_exposure(const ServeOptions& options, bool has_keys);

}  // namespace weir
