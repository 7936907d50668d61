#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

#include "base/sensors.h"
#include "server/metrics_engine.h"

namespace weir {
namespace {

namespace pm = prometheus;

const pm::Histogram::BucketBoundaries kFirstToken = {.01, .025, .05, .1, .25, .5,
                                                     1,   2.5,  5,   10, 30,  60};
const pm::Histogram::BucketBoundaries kBetween = {.001, .0025, .005, .01, .025, .05,
                                                  .1,   .25,   .5,   1,   2.5};
const pm::Histogram::BucketBoundaries kRequest = {.001, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300};

int64_t resident_bytes() {
  long pages = 0, resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * sysconf(_SC_PAGESIZE);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <typename Builder>
auto& family(pm::Registry& registry, Builder builder, const char* name, const char* help) {
  return builder.Name(name).Help(help).Register(registry);
}

}  // namespace

struct Metrics::Parts {
  pm::Registry registry;
  pm::Family<pm::Counter>& responses = family(
      registry, pm::BuildCounter(), "weir_http_responses_total", "Responses by route and status");
  pm::Family<pm::Histogram>& seconds =
      family(registry, pm::BuildHistogram(), "weir_http_response_seconds",
             "From the head of a request to the end "
             "of its response");
  pm::Family<pm::Histogram>& ttft =
      family(registry, pm::BuildHistogram(), "weir_time_to_first_token_seconds",
             "From the arrival of a request to its first token");
  pm::Family<pm::Histogram>& between =
      family(registry, pm::BuildHistogram(), "weir_inter_token_seconds",
             "Between two tokens of one answer");
  pm::Family<pm::Counter>& prompt =
      family(registry, pm::BuildCounter(), "weir_answered_prompt_tokens_total",
             "Prompt tokens of finished requests");
  pm::Family<pm::Counter>& cached =
      family(registry, pm::BuildCounter(), "weir_answered_cached_tokens_total",
             "Of the prompt tokens, those found in the prefix cache");
  pm::Family<pm::Counter>& generated =
      family(registry, pm::BuildCounter(), "weir_answered_generated_tokens_total",
             "Tokens of finished answers");
  pm::Counter& disconnects = family(registry, pm::BuildCounter(), "weir_disconnects_total",
                                    "Clients that left before the end")
                                 .Add({});
  pm::Counter& cut =
      family(registry, pm::BuildCounter(), "weir_slow_readers_cut_total", "Streams nobody read")
          .Add({});
  pm::Gauge& open =
      family(registry, pm::BuildGauge(), "weir_http_connections", "Open connections").Add({});
  pm::Gauge& memory =
      family(registry, pm::BuildGauge(), "process_resident_memory_bytes", "Resident memory")
          .Add({});
  pm::Family<pm::Gauge>& heat =
      family(registry, pm::BuildGauge(), "weir_temperature_celsius", "Temperature by sensor");
  pm::Family<pm::Gauge>& energy = family(registry, pm::BuildGauge(), "weir_energy_joules_total",
                                         "Energy the machine used, by domain; wraps");
  pm::Gauge& cpu = family(registry, pm::BuildGauge(), "process_cpu_seconds_total",
                          "Processor time, user and system")
                       .Add({});
};

Metrics::Metrics() : parts_(std::make_unique<Parts>()) {}
Metrics::~Metrics() = default;

void Metrics::response(std::string_view route, int status, double seconds) {
  const std::string name(route);
  parts_->responses.Add({{"route", name}, {"status", std::to_string(status)}}).Increment();
  parts_->seconds.Add({{"route", name}}, kRequest).Observe(seconds);
}

void Metrics::first_token(const std::string& model, double seconds) {
  parts_->ttft.Add({{"model", model}}, kFirstToken).Observe(seconds);
}

void Metrics::between_tokens(const std::string& model, double seconds) {
  parts_->between.Add({{"model", model}}, kBetween).Observe(seconds);
}

void Metrics::answered(const std::string& model, const Statistics& s) {
  parts_->prompt.Add({{"model", model}}).Increment(static_cast<double>(s.prompt_tokens));
  parts_->cached.Add({{"model", model}}).Increment(static_cast<double>(s.cached_tokens));
  parts_->generated.Add({{"model", model}}).Increment(static_cast<double>(s.generated_tokens));
}

void Metrics::disconnected() { parts_->disconnects.Increment(); }
void Metrics::slow_reader_cut() { parts_->cut.Increment(); }
void Metrics::connections(int64_t open) { parts_->open.Set(static_cast<double>(open)); }

std::string Metrics::text(ModelRegistry& registry) {
  parts_->memory.Set(static_cast<double>(resident_bytes()));
  parts_->cpu.Set(cpu_seconds());
  const Sensors sensors = read_sensors();
  for (const SensorReading& r : sensors.celsius)
    parts_->heat.Add({{"sensor", r.name}}).Set(r.value);
  for (const SensorReading& r : sensors.joules)
    parts_->energy.Add({{"domain", r.name}}).Set(r.value);
  auto families = parts_->registry.Collect();
  add_engine_families(registry, families);
  return pm::TextSerializer().Serialize(families);
}

}  // namespace weir
