// Benchmark reports as a table for people, Markdown, CSV and JSON.
#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "lab/benchmark.h"

namespace weir {
namespace {

std::string heading(const BenchmarkReport& r) {
  return fmt::format(
      "{} ({}, {:.1f} MB), {} threads, {}; ceilings: read {:.1f} GB/s, int8 {:.0f} GOPS, "
      "f32 {:.0f} GFLOPS",
      r.model, r.type, static_cast<double>(r.model_bytes) / 1e6, r.threads, r.isa,
      r.ceilings.read_bytes_per_second / 1e9, r.ceilings.int8_ops_per_second / 1e9,
      r.ceilings.f32_ops_per_second / 1e9);
}

}  // namespace

std::string report_table(const BenchmarkReport& r) {
  std::string text = heading(r) + "\n";
  text += fmt::format("{:<8} {:>12} {:>10} {:>10}   {}\n", "test", "tokens/s", "min", "max",
                      "share of ceiling");
  for (const BenchmarkRow& row : r.rows) {
    const auto filled = static_cast<size_t>(std::clamp(row.share_of_ceiling, 0.0, 1.0) * 20 + 0.5);
    std::string bar;
    for (size_t i = 0; i < 20; ++i) bar += i < filled ? "█" : "·";
    text += fmt::format("{:<8} {:>12.2f} {:>10.2f} {:>10.2f}   {} {:.0f} % of {}\n", row.test,
                        row.tokens_per_second.median, row.tokens_per_second.min,
                        row.tokens_per_second.max, bar, 100 * row.share_of_ceiling, row.ceiling);
  }
  return text;
}

std::string report_markdown(const BenchmarkReport& r) {
  std::string text = heading(r) +
                     "\n\n| test | tokens/s (median) | min | max | share of ceiling |\n"
                     "|---|---:|---:|---:|---:|\n";
  for (const BenchmarkRow& row : r.rows)
    text += fmt::format("| {} | {:.2f} | {:.2f} | {:.2f} | {:.0f} % of {} |\n", row.test,
                        row.tokens_per_second.median, row.tokens_per_second.min,
                        row.tokens_per_second.max, 100 * row.share_of_ceiling, row.ceiling);
  return text;
}

std::string report_csv(const BenchmarkReport& r) {
  std::string text = "test,tokens_per_second,min,max,ceiling,share_of_ceiling,threads,isa\n";
  for (const BenchmarkRow& row : r.rows)
    text += fmt::format("{},{},{},{},{},{},{},{}\n", row.test, row.tokens_per_second.median,
                        row.tokens_per_second.min, row.tokens_per_second.max, row.ceiling,
                        row.share_of_ceiling, r.threads, r.isa);
  return text;
}

std::string report_json(const BenchmarkReport& r) {
  nlohmann::ordered_json json;
  json["model"] = {
      {"name", r.model}, {"type", r.type}, {"parameters", r.parameters}, {"bytes", r.model_bytes}};
  json["isa"] = r.isa;
  json["threads"] = r.threads;
  json["load_seconds"] = r.load_seconds;
  json["peak_memory_bytes"] = r.peak_memory_bytes;
  json["ceilings"] = {{"read_bytes_per_second", r.ceilings.read_bytes_per_second},
                      {"int8_ops_per_second", r.ceilings.int8_ops_per_second},
                      {"f32_ops_per_second", r.ceilings.f32_ops_per_second}};
  json["rows"] = nlohmann::ordered_json::array();
  for (const BenchmarkRow& row : r.rows)
    json["rows"].push_back({{"test", row.test},
                            {"tokens", row.tokens},
                            {"tokens_per_second",
                             {{"median", row.tokens_per_second.median},
                              {"min", row.tokens_per_second.min},
                              {"max", row.tokens_per_second.max}}},
                            {"ceiling", row.ceiling},
                            {"share_of_ceiling", row.share_of_ceiling}});
  return json.dump(2) + "\n";
}

}  // namespace weir
