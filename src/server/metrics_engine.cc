#include "server/metrics_engine.h"

#include <string>

namespace weir {
namespace {

namespace pm = prometheus;

using Getter = double (*)(const EngineCounters&);

struct Row {
  const char* name;
  const char* help;
  bool grows;
  Getter get;
  const char* tier = nullptr;  // a label for weir_pages
};

#define WEIR_FIGURE(field) [](const EngineCounters& c) { return static_cast<double>(c.field); }

constexpr Row kRows[] = {
    {"weir_requests_running", "Requests in the batch", false, WEIR_FIGURE(running)},
    {"weir_requests_queued", "Requests that wait", false, WEIR_FIGURE(queued)},
    {"weir_pages_total", "KV pages of the pool", false, WEIR_FIGURE(pages)},
    {"weir_pages", "KV pages by what they hold", false, WEIR_FIGURE(free_pages), "free"},
    {"weir_pages", "", false, WEIR_FIGURE(cached_pages), "prefix"},
    {"weir_pages", "", false, WEIR_FIGURE(swapped_pages), "ram"},
    {"weir_pages", "", false, WEIR_FIGURE(disk_pages), "disk"},
    {"weir_disk_cache_bytes", "Bytes of prefixes on disk", false, WEIR_FIGURE(disk_bytes)},
    {"weir_prompt_tokens_total", "Prompt tokens admitted", true, WEIR_FIGURE(prompt_tokens)},
    {"weir_prefix_hit_tokens_total", "Prompt tokens found in the prefix cache", true,
     WEIR_FIGURE(cached_tokens)},
    {"weir_generated_tokens_total", "Tokens generated", true, WEIR_FIGURE(generated_tokens)},
    {"weir_requests_finished_total", "Requests that ended by themselves", true,
     WEIR_FIGURE(finished)},
    {"weir_requests_cancelled_total", "Requests stopped by their client", true,
     WEIR_FIGURE(cancelled)},
    {"weir_requests_failed_total", "Requests that ended with an error", true, WEIR_FIGURE(failed)},
    {"weir_preemptions_total", "Requests that gave up their pages for a while", true,
     WEIR_FIGURE(preemptions)},
    {"weir_evictions_total", "Cached prefix pages dropped", true, WEIR_FIGURE(evictions)},
    {"weir_steps_total", "Steps of the engine", true, WEIR_FIGURE(steps)},
    {"weir_batched_tokens_total", "Tokens of all steps; by steps: the batch size", true,
     WEIR_FIGURE(batched_tokens)},
};

#undef WEIR_FIGURE

pm::ClientMetric metric(const Row& row, const std::string& model, double value) {
  pm::ClientMetric result;
  if (!model.empty()) result.label.push_back({"model", model});
  if (row.tier != nullptr) result.label.push_back({"tier", row.tier});
  if (row.grows)
    result.counter.value = value;
  else
    result.gauge.value = value;
  return result;
}

pm::MetricFamily& family(std::vector<pm::MetricFamily>& families, const Row& row) {
  if (!families.empty() && families.back().name == row.name) return families.back();
  pm::MetricFamily made;
  made.name = row.name;
  made.help = row.help;
  made.type = row.grows ? pm::MetricType::Counter : pm::MetricType::Gauge;
  families.push_back(std::move(made));
  return families.back();
}

void add_figure(std::vector<pm::MetricFamily>& families, const char* name, const char* help,
                bool grows, double value) {
  const Row row{name, help, grows, nullptr, nullptr};
  family(families, row).metric.push_back(metric(row, "", value));
}

}  // namespace

void add_engine_families(ModelRegistry& registry, std::vector<pm::MetricFamily>& families) {
  const auto figures = registry.counters();
  for (const Row& row : kRows)
    for (const auto& [model, counters] : figures)
      family(families, row).metric.push_back(metric(row, model, row.get(counters)));
  int64_t planned = 0;
  double loaded = 0;
  for (const ModelStatus& status : registry.list()) {
    planned += status.plan.total();
    loaded += status.loaded ? 1 : 0;
  }
  add_figure(families, "weir_models_loaded", "Models in memory", false, loaded);
  add_figure(families, "weir_models_planned_bytes", "Memory planned for the loaded models", false,
             static_cast<double>(planned));
  add_figure(families, "weir_model_loads_total", "Models loaded so far", true,
             static_cast<double>(registry.loads()));
  add_figure(families, "weir_model_unloads_total", "Models unloaded so far", true,
             static_cast<double>(registry.unloads()));
}

}  // namespace weir
