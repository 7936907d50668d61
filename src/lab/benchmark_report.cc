// Benchmark reports as a table for people, Markdown, CSV and JSON.
#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "lab/benchmark.h"

namespace weir {
namespace {

std::string heading(const BenchmarkReport& r) {
  std::string text = fmt::format(
      "{} ({}, {:.1f} MB), {} threads, {}; ceilings at best: read {:.1f} GB/s, int8 {:.0f} GOPS, "
      "f32 {:.0f} GFLOPS",
      r.model, r.type, static_cast<double>(r.model_bytes) / 1e6, r.threads, r.isa,
      r.ceilings.read_bytes_per_second / 1e9, r.ceilings.int8_ops_per_second / 1e9,
      r.ceilings.f32_ops_per_second / 1e9);
  if (r.ceilings.bf16_ops_per_second > 0)
    text += fmt::format(", bf16 {:.0f} GFLOPS", r.ceilings.bf16_ops_per_second / 1e9);
  return text;
}

/// "matmul 91.2 %, attention 5.0 %, …" of the parts above a thousandth.
std::string profile_line(const BenchmarkRow& row) {
  std::string text;
  for (const OpShare& share : row.profile)
    if (share.share >= 0.001)
      text += fmt::format("{}{} {:.1f} %", text.empty() ? "" : ", ", share.op, 100 * share.share);
  return text;
}

int name_width(const BenchmarkReport& r) {
  size_t width = 8;
  for (const BenchmarkRow& row : r.rows) width = std::max(width, row.test.size());
  return static_cast<int>(width);
}

}  // namespace

std::string report_table(const BenchmarkReport& r) {
  std::string text = heading(r) + "\n";
  const int width = name_width(r);
  text += fmt::format("{:<{}} {:>12} {:>10} {:>10}   {}\n", "test", width, "tokens/s", "min", "max",
                      "share of ceiling");
  for (const BenchmarkRow& row : r.rows) {
    const auto filled = static_cast<size_t>(std::clamp(row.share_of_ceiling, 0.0, 1.0) * 20 + 0.5);
    std::string bar;
    for (size_t i = 0; i < 20; ++i) bar += i < filled ? "█" : "·";
    text += fmt::format("{:<{}} {:>12.2f} {:>10.2f} {:>10.2f}   {} {:.0f} % of {}\n", row.test,
                        width, row.tokens_per_second.median, row.tokens_per_second.min,
                        row.tokens_per_second.max, bar, 100 * row.share_of_ceiling, row.ceiling);
    if (!row.profile.empty()) text += fmt::format("{:<{}} {}\n", "", width, profile_line(row));
  }
  return text;
}

std::string report_markdown(const BenchmarkReport& r) {
  std::string text = heading(r) +
                     "\n\n| test | tokens/s (median) | min | max | share of ceiling |\n"
                     "|---|---:|---:|---:|---:|\n";
  std::string profiles;
  for (const BenchmarkRow& row : r.rows) {
    text += fmt::format("| {} | {:.2f} | {:.2f} | {:.2f} | {:.0f} % of {} |\n", row.test,
                        row.tokens_per_second.median, row.tokens_per_second.min,
                        row.tokens_per_second.max, 100 * row.share_of_ceiling, row.ceiling);
    if (!row.profile.empty()) profiles += fmt::format("\n{}: {}\n", row.test, profile_line(row));
  }
  return text + profiles;
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
                      {"f32_ops_per_second", r.ceilings.f32_ops_per_second},
                      {"bf16_ops_per_second", r.ceilings.bf16_ops_per_second}};
  json["rows"] = nlohmann::ordered_json::array();
  for (const BenchmarkRow& row : r.rows) {
    json["rows"].push_back({{"test", row.test},
                            {"tokens", row.tokens},
                            {"depth", row.depth},
                            {"batch", row.batch},
                            {"tokens_per_second",
                             {{"median", row.tokens_per_second.median},
                              {"min", row.tokens_per_second.min},
                              {"max", row.tokens_per_second.max}}},
                            {"ceiling", row.ceiling},
                            {"ceiling_per_second", row.ceiling_per_second},
                            {"best_ceiling_per_second", row.best_ceiling_per_second},
                            {"share_of_ceiling", row.share_of_ceiling},
                            {"share_of_best_ceiling", row.share_of_best_ceiling}});
    for (const OpShare& share : row.profile)
      json["rows"].back()["profile"].push_back(
          {{"op", share.op}, {"seconds", share.seconds}, {"share", share.share}});
  }
  return json.dump(2) + "\n";
}

}  // namespace weir
