// The figures of a run under load as a table and as JSON.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/load.h"

namespace weir {
namespace {

nlohmann::json json_of(const Percentiles& p) {
  return {{"p50", p.p50}, {"p95", p.p95}, {"p99", p.p99}, {"max", p.max}};
}

std::string row(const char* name, const Percentiles& p) {
  return fmt::format("{:<16} p50 {:9.1f}   p95 {:9.1f}   p99 {:9.1f}   max {:9.1f}  ms\n", name,
                     p.p50 * 1e3, p.p95 * 1e3, p.p99 * 1e3, p.max * 1e3);
}

}  // namespace

Percentiles percentiles(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto rank = [&](double share) {
    const auto n = static_cast<double>(values.size());
    return values[static_cast<size_t>(std::max(1.0, std::ceil(share * n))) - 1];
  };
  return {rank(0.50), rank(0.95), rank(0.99), values.back()};
}

double LoadReport::tokens_per_second() const {
  return seconds > 0 ? static_cast<double>(generated_tokens) / seconds : 0;
}

std::string load_table(const LoadReport& r) {
  std::string text =
      fmt::format("requests         {} in {:.1f} s: {} finished, {} left, {} shed, {} errors{}\n",
                  r.requests, r.seconds, r.finished, r.disconnected, r.shed, r.errors,
                  r.slow > 0 ? fmt::format("; {} of slow readers", r.slow) : "");
  text += "status          ";
  for (const auto& [status, count] : r.by_status)
    text += fmt::format(" {}: {}", status == 0 ? "none" : std::to_string(status), count);
  text += fmt::format("\nin time          {}", r.within_deadlines);
  text += fmt::format("\nverified         {}, mismatches {}\n", r.verified, r.mismatches);
  text += fmt::format("tokens           {} prompt ({} cached), {} generated, {:.1f} a second\n",
                      r.prompt_tokens, r.cached_tokens, r.generated_tokens, r.tokens_per_second());
  text += row("first token", r.first_token) + row("between tokens", r.between_tokens);
  if (r.shed > 0) text += row("refusal", r.refusal);
  for (const auto& [error, count] : r.error_texts)
    text += fmt::format("error            {} x {}\n", count, error);
  return text;
}

std::string load_json(const LoadReport& r) {
  nlohmann::json json = {{"requests", r.requests},
                         {"finished", r.finished},
                         {"disconnected", r.disconnected},
                         {"shed", r.shed},
                         {"errors", r.errors},
                         {"slow", r.slow},
                         {"within_deadlines", r.within_deadlines},
                         {"verified", r.verified},
                         {"mismatches", r.mismatches},
                         {"prompt_tokens", r.prompt_tokens},
                         {"cached_tokens", r.cached_tokens},
                         {"generated_tokens", r.generated_tokens},
                         {"seconds", r.seconds},
                         {"tokens_per_second", r.tokens_per_second()},
                         {"first_token_seconds", json_of(r.first_token)},
                         {"between_tokens_seconds", json_of(r.between_tokens)},
                         {"refusal_seconds", json_of(r.refusal)},
                         {"error_texts", r.error_texts}};
  for (const auto& [status, count] : r.by_status) json["by_status"][std::to_string(status)] = count;
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace weir
