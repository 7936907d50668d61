// What handlers and connections work with: the models, the rules, the figures, the log. One for a
// server. Owns nothing that runs.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "engine/registry.h"
#include "server/access.h"
#include "server/framing.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/overload.h"

namespace weir {

struct ServerLimits {
  HeadLimits head;
  uint64_t body_bytes = 16u << 20;
  int64_t connections = 4096;
  int64_t requests_per_minute = 600;              // for each key, if keys are set; 0: no limit
  double request_seconds = 3600;                  // the longest a request may take
  std::chrono::milliseconds header_time{10'000};  // from the first byte to the end of the head
  std::chrono::milliseconds body_idle{30'000};    // without a byte of the body
  std::chrono::milliseconds keep_alive{60'000};   // between requests
  std::chrono::milliseconds write_stall{30'000};  // without a byte taken by the reader
};

struct Service {
  ModelRegistry& registry;
  Metrics& metrics;
  EventLog& log;
  KeyRing keys;
  HostPolicy hosts;
  ServerLimits limits;
  RateLimiter rate;
  std::string version;
  SamplingParams defaults;  // of what a request does not say
  std::atomic<bool> draining = false;
  Overload overload;

  Service(ModelRegistry& models, Metrics& figures, EventLog& events, KeyRing ring,
          HostPolicy policy, ServerLimits bounds, std::string program_version)
      : registry(models),
        metrics(figures),
        log(events),
        keys(std::move(ring)),
        hosts(std::move(policy)),
        limits(bounds),
        rate(bounds.requests_per_minute),
        version(std::move(program_version)) {}
};

}  // namespace weir
