#include "server/serve_options.h"

#include "base/error.h"

namespace weir {
namespace {

OptionRange between(double minimum, double maximum) {
  OptionRange range;
  range.minimum = minimum;
  range.maximum = maximum;
  return range;
}

OptionRange texts(size_t items, size_t bytes) {
  OptionRange range;
  range.max_items = items;
  range.max_bytes = bytes;
  return range;
}

}  // namespace

const OptionTable<ServeOptions>& serve_options() {
  using S = ServeOptions;
  static const OptionTable<S> kTable = [] {
    OptionTable<S> t;
    t.add({"host"}, &S::host, texts(1, 64),
          "Address to listen on; others than loopback need a key");
    t.add({"port"}, &S::port, between(0, 65535), "Port; 0 takes a free one");
    t.add({"models"}, &S::models, texts(1, 4096),
          "Folder of models, known by their file names and loaded when asked for");
    t.add({"key_file"}, &S::key_file, texts(1, 4096),
          "File with API keys, one a line; more in WEIR_API_KEYS, separated by commas");
    t.add({"allow_host"}, &S::allow_host, texts(64, 253),
          "Name by which clients may reach the server, beside localhost and addresses");
    t.add({"allow_origin"}, &S::allow_origin, texts(64, 300),
          "Origin of web pages that may ask, such as https://app.example");
    t.add({"allow_public_without_key"}, &S::allow_public_without_key, {},
          "Listen on a public address with no key at all");
    t.add({"keep_alive"}, &S::keep_alive, between(-1, 1e9),
          "Seconds that a model loaded on demand stays after its last use; -1: for ever");
    t.add({"rate"}, &S::rate, between(0, 1 << 20), "Requests a minute for each key; 0: no limit");
    t.add({"max_connections"}, &S::max_connections, between(1, 1 << 20), "Open connections");
    t.add({"max_body"}, &S::max_body, between(1, 1024), "Largest request body, MiB");
    t.add({"max_seconds"}, &S::max_seconds, between(1, 86400), "Longest a request may take");
    t.add({"drain"}, &S::drain, between(0, 3600),
          "Seconds that running answers may go on after SIGTERM");
    t.add({"log"}, &S::log, texts(1, 8), "Format of the log on standard error: text, json or off");
    return t;
  }();
  return kTable;
}

ServerLimits server_limits(const ServeOptions& options) {
  ServerLimits limits;
  limits.body_bytes = static_cast<uint64_t>(options.max_body) << 20;
  limits.connections = options.max_connections;
  limits.requests_per_minute = options.rate;
  limits.request_seconds = options.max_seconds;
  return limits;
}

void check_exposure(const ServeOptions& options, bool has_keys) {
  if (has_keys || options.allow_public_without_key || is_loopback(options.host)) return;
  fail(Code::invalid_argument,
       "{} can be reached from other machines and no API key is set; give one with --key-file or "
       "WEIR_API_KEYS, or --allow-public-without-key if everyone may use the server",
       options.host);
}

}  // namespace weir
