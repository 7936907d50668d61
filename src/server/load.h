// The load generator: many streams against a server, each text compared with what the same request
// gives alone. Owns the plan of requests, the runs and the figures; refuses to print.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "server/load_client.h"
#include "server/load_trace.h"

namespace weir {

struct LoadOptions {
  std::string model;                // empty: the server's first
  int64_t streams = 8;              // closed loop: so many requests at the same time
  double seconds = 10;              // no new requests after that
  int64_t requests = 0;             // if not 0: so many, however long it takes
  double rate = 0;                  // open loop: so many arrivals a second (Poisson), if not 0
  std::vector<TraceArrival> trace;  // open loop: these arrivals, if any
  double speed = 1;                 // the trace runs so many times faster
  int64_t distinct = 16;            // different requests that are drawn from
  int64_t short_words = 12, long_words = 200;
  double long_share = 0.25;
  int64_t max_tokens = 48;
  int64_t max_prompt = 1024;          // of a trace: longer prompts get so many words
  double disconnect = 0;              // share of requests whose client leaves midway
  int64_t slow_bytes_per_second = 0;  // pace of slow readers, if not 0
  int64_t slow_streams = 0;           // how many streams read slowly; the others are measured
  bool chat = true;  // half of the requests; false: only completions, for models without a template
  bool verify = false;
  bool allow_shed = false;        // 429 and 503 with Retry-After are no errors
  double first_deadline = 1.0;    // seconds to the first token of an answer that counts as good
  double between_deadline = 0.1;  // seconds between its tokens, on average
  uint64_t seed = 1;
};

struct Percentiles {
  double p50 = 0, p95 = 0, p99 = 0, max = 0;
};
/// Nearest rank. All 0 for no values.
Percentiles percentiles(std::vector<double> values);

struct LoadReport {
  int64_t requests = 0, finished = 0, disconnected = 0, shed = 0, errors = 0;
  int64_t slow = 0;              // slow readers' streams, in none of the other counts
  int64_t within_deadlines = 0;  // finished, first and further tokens in the time LoadOptions says
  int64_t verified = 0, mismatches = 0;
  std::map<int, int64_t> by_status;  // 0: no answer
  std::map<std::string, int64_t> error_texts;
  int64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  double seconds = 0;
  Percentiles first_token, between_tokens, refusal;  // seconds
  double tokens_per_second() const;
  bool passed() const { return errors == 0 && mismatches == 0 && finished > 0; }
};

/// Progress: share done and what runs. Called from the thread of run_load.
using LoadProgress = std::function<void(double, const std::string&)>;

/// Throws invalid_argument for options that make no plan, io for a host that cannot be resolved.
LoadReport run_load(const LoadTarget& target, const LoadOptions& options,
                    const LoadProgress& progress = nullptr);

std::string load_table(const LoadReport& report);
std::string load_json(const LoadReport& report);

}  // namespace weir
