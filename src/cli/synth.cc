// weir synth: a valid random-weight GGUF of a named public shape.
#include <cstdio>

#include "base/error.h"
#include "cli/command.h"
#include "lab/synth.h"

namespace weir::cli {
namespace {

struct Options {
  std::string shape, type = "q4_k_m", output;
  uint64_t seed = 1;
  bool list = false;
};

int run(const Options& o) {
  if (o.list || o.shape.empty()) {
    for (const ModelShape& s : model_shapes())
      std::fputs(fmt::format("{:<16} {:>6.2f} B parameters, {} layers, width {}\n", s.name,
                             static_cast<double>(parameters_of(s)) / 1e9, s.layers, s.width)
                     .c_str(),
                 stdout);
    std::fputs(fmt::format("types: {}\n", fmt::join(type_mix_names(), " ")).c_str(), stdout);
    return o.list ? kSuccess : kUsage;
  }
  const SynthPlan plan{model_shape(o.shape), type_mix(o.type), o.seed};
  const std::string path = o.output.empty() ? fmt::format("{}-{}.gguf", o.shape, o.type) : o.output;
  {
    ProgressBar bar;
    synthesise(plan, path, [&](int64_t done, int64_t all) {
      bar.show(static_cast<double>(done) / static_cast<double>(all), path);
    });
  }
  std::fputs(fmt::format("{}: {} of random weights, shape {}\n", path,
                         human_bytes(static_cast<double>(synth_bytes(plan))), o.shape)
                 .c_str(),
             stdout);
  return kSuccess;
}

}  // namespace

void add_synth(Commands& commands) {
  auto o = std::make_shared<Options>();
  CLI::App* c = commands.add("synth", "Write a model file with random weights of a public shape",
                             [o] { return run(*o); });
  c->add_option("SHAPE", o->shape, "Such as tinyllama-1.1b; --list shows all");
  c->add_option("--type", o->type, "Weight type or mix, as q4_0, q8_0, q4_k_m")
      ->capture_default_str();
  c->add_option("-o,--output", o->output, "File to write [SHAPE-TYPE.gguf]");
  c->add_option("--seed", o->seed, "Seed of the weights")->capture_default_str();
  c->add_flag("--list", o->list, "List shapes and types");
}

}  // namespace weir::cli
