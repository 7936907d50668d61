// Speed of a model on this machine: prompt and generation rows through the engine that users get,
// each against the ceiling measured around each of its runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "lab/ceilings.h"
#include "model/model.h"

namespace weir {

struct BenchmarkOptions {
  std::vector<int64_t> prompt_tokens = {512};
  std::vector<int64_t> generated_tokens = {64};
  std::vector<int64_t> depths = {0};   // tokens already in the cache; multiples of 16
  std::vector<int64_t> batches = {1};  // sequences that generate at the same time
  int repeats = 5;
  int threads = 0;
  std::string kv_type = "f16";
  std::string numerics = "exact";
  bool profile = false;  // with the times of every op in the last run of each row
};

/// Median and spread of the counted runs.
struct Spread {
  double median = 0, min = 0, max = 0;
};
Spread spread_of(std::vector<double> values);

/// Seconds of one kind of op, or of "waiting" and "between", in one run of a row.
struct OpShare {
  std::string op;
  double seconds = 0, share = 0;
};

struct BenchmarkRow {
  std::string test;  // "pp512": a prompt of 512 tokens; "tg64": 64 tokens generated; "tg64x4": by
                     // each of 4 sequences; "@4096": behind so many tokens in the cache
  int64_t tokens = 0, depth = 0, batch = 1;
  Spread tokens_per_second;
  std::string ceiling;                 // "int8", "f32", "bf16" (arithmetic) or "read" (memory)
  double ceiling_per_second = 0;       // operations or bytes: median of the sustained around runs
  double best_ceiling_per_second = 0;  // the highest seen there
  double share_of_ceiling = 0;         // median of each run's share of the sustained around it
  double share_of_best_ceiling = 0;    // of the median rate
  std::vector<OpShare> profile;
};

struct BenchmarkReport {
  std::string model, type, isa;
  int threads = 0;
  int64_t parameters = 0, model_bytes = 0;
  double load_seconds = 0;
  int64_t peak_memory_bytes = 0;
  Ceilings ceilings;  // the best, before the first row
  std::vector<BenchmarkRow> rows;
};

/// `progress` gets steps done, steps in all and what runs now.
using BenchmarkProgress = std::function<void(int, int, const std::string&)>;

/// Throws invalid_argument for a depth that is no multiple of a page.
BenchmarkReport run_benchmark(const std::shared_ptr<const Model>& model,
                              const BenchmarkOptions& options, const BenchmarkProgress& progress);

std::string report_table(const BenchmarkReport& report);
std::string report_markdown(const BenchmarkReport& report);
std::string report_csv(const BenchmarkReport& report);
std::string report_json(const BenchmarkReport& report);

/// Weights that a token reads: multiply-adds of all linear layers, and their bytes.
struct TokenWork {
  double operations = 0;       // of the matmuls of one prompt token (the head not counted)
  double head_operations = 0;  // of the head, once a prompt
  double bytes = 0;            // read by one generated token
  bool integer = false;        // most of it by int8 dot products
  bool half = false;           // or, most of it, with F16 and BF16 weights
};
TokenWork token_work(const Model& model);

}  // namespace weir
