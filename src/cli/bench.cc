// weir bench: speed of a model on this machine, against its measured ceilings.
#include <cstdio>

#include "base/error.h"
#include "cli/command.h"
#include "engine/native_limits.h"
#include "lab/benchmark.h"

namespace weir::cli {
namespace {

struct Options {
  std::string model, format = "table";
  BenchmarkOptions bench;
  bool json = false;
};

int run(const Options& o) {
  const auto model = open_model(o.model);
  ProgressBar bar;
  const BenchmarkReport report =
      run_benchmark(model, o.bench, [&](int step, int steps, const std::string& what) {
        bar.show(static_cast<double>(step) / steps, what);
      });
  const std::string text = o.json || o.format == "json" ? report_json(report)
                           : o.format == "csv"          ? report_csv(report)
                           : o.format == "markdown"     ? report_markdown(report)
                                                        : report_table(report);
  bar.show(1.0, "done");
  std::fputs(text.c_str(), stdout);
  return kSuccess;
}

}  // namespace

void add_bench(Commands& commands) {
  auto o = std::make_shared<Options>();
  CLI::App* c = commands.add("bench", "Measure prompt and generation speed of a model",
                             [o] { return run(*o); });
  const auto tokens = CLI::Range(int64_t{1}, int64_t{1} << 20);
  c->add_option("MODEL", o->model, "GGUF file or Hugging Face folder [the embedded model]");
  c->add_option("-p,--prompt-tokens", o->bench.prompt_tokens, "Lengths of prompt rows, as 512,2048")
      ->delimiter(',')
      ->check(tokens)
      ->capture_default_str();
  c->add_option("-n,--generate-tokens", o->bench.generated_tokens, "Lengths of generation rows")
      ->delimiter(',')
      ->check(tokens)
      ->capture_default_str();
  c->add_option("-d,--depth", o->bench.depths,
                "Tokens already in the cache, as 0,4096: multiples of 16")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->capture_default_str();
  c->add_option("-b,--batch", o->bench.batches, "Sequences that generate together, as 1,4,16")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1024}))
      ->capture_default_str();
  c->add_flag("--profile", o->bench.profile, "Add where the time of the last run went");
  c->add_option("-r,--repeats", o->bench.repeats, "Counted runs of each row, after one warm-up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  c->add_option("-t,--threads", o->bench.threads, "Threads [one for each core]")
      ->check(CLI::Range(1, 1024));
  c->add_option("--kv-type", o->bench.kv_type, "Type of the KV cache")
      ->check(CLI::IsMember(kv_type_names()))
      ->capture_default_str();
  c->add_option("--numerics", o->bench.numerics, "Arithmetic (docs/numerics.md)")
      ->check(CLI::IsMember({"exact", "bf16-dot"}))
      ->capture_default_str();
  c->add_option("--format", o->format, "Form of the report")
      ->check(CLI::IsMember({"table", "markdown", "csv", "json"}))
      ->capture_default_str();
  c->add_flag("--json", o->json, "The same as --format json");
}

}  // namespace weir::cli
