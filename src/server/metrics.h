// The figures of a running server in Prometheus' text format. Owns their names; refuses labels
// whose values clients choose (routes and models come from our own tables).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "engine/registry.h"

namespace weir {

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// A response went out. `route` is one of the table, or "other".
  void response(std::string_view route, int status, double seconds);
  void first_token(const std::string& model, double seconds);
  void between_tokens(const std::string& model, double seconds);
  void answered(const std::string& model, const Statistics& statistics);
  void disconnected();
  void slow_reader_cut();
  void connections(int64_t open);

  /// The page for /metrics, with the counters of the registry's engines as they are now.
  std::string text(ModelRegistry& registry);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace weir
