// weir doctor: what this machine is, what it can do at most, and which models fit.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/sensors.h"
#include "cli/command.h"
#include "kernels/kernels.h"
#include "lab/ceilings.h"
#include "lab/synth.h"

namespace weir::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> gpus() {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc/driver/nvidia/gpus", error)) {
    std::ifstream information(entry.path() / "information");
    for (std::string line; std::getline(information, line);)
      if (line.rfind("Model:", 0) == 0)
        found.push_back(line.substr(line.find_first_not_of(" \t", 6)));
  }
  return found;
}

struct Fit {
  const ModelShape* shape;
  TypeMix mix;
  double bytes;
  double tokens_per_second;
  bool fits;
};

/// Expected decode speed: nine tenths of the read ceiling over the bytes of one token. The
/// embedding is not read whole; of a mixture only the chosen experts are.
std::vector<Fit> fits(const Ceilings& ceilings, int64_t memory) {
  std::vector<Fit> all;
  for (const ModelShape& shape : model_shapes())
    for (const char* type : {"q4_k_m", "q8_0"}) {
      const SynthPlan plan{shape, type_mix(type), 1};
      double read = 0;
      for (const SynthTensor& tensor : synth_tensors(plan)) {
        double elements = 1;
        for (const int64_t extent : tensor.dims) elements *= static_cast<double>(extent);
        double share = tensor.name == "token_embd.weight" && !shape.tied ? 0.0 : 1.0;
        if (tensor.dims.size() == 3)
          share = static_cast<double>(shape.experts_used) / static_cast<double>(shape.experts);
        const DTypeInfo& row = info(tensor.type);
        read += share * elements * static_cast<double>(row.block_bytes) /
                static_cast<double>(row.block_elements);
      }
      const auto bytes = static_cast<double>(synth_bytes(plan));
      all.push_back({&shape, plan.mix, bytes, 0.9 * ceilings.read_bytes_per_second / read,
                     bytes * 1.1 < static_cast<double>(memory)});
    }
  return all;
}

void print_json(const MachineInfo& m, const Ceilings& c, const std::vector<Fit>& models) {
  nlohmann::ordered_json json;
  json["processor"] = m.processor;
  json["cores"] = m.logical_cores;
  json["isa"] = kernels::active_table().isa;
  for (const auto* table : kernels::tables()) json["isas"].push_back(table->isa);
  json["cache_bytes"] = {{"l1d", m.l1d_bytes}, {"l2", m.l2_bytes}, {"l3", m.l3_bytes}};
  json["memory_bytes"] = m.memory_bytes;
  json["memory_available_bytes"] = m.memory_available_bytes;
  json["read_bytes_per_second"] = c.read_bytes_per_second;
  json["int8_ops_per_second"] = c.int8_ops_per_second;
  json["f32_ops_per_second"] = c.f32_ops_per_second;
  json["sensors"] = nlohmann::ordered_json::object();
  const Sensors sensors = read_sensors();
  for (const auto& [name, degrees] : sensors.celsius) json["sensors"][name] = degrees;
  json["energy_joules"] = nlohmann::ordered_json::object();
  for (const auto& [name, joules] : sensors.joules) json["energy_joules"][name] = joules;
  json["gpus"] = gpus();
  for (const Fit& fit : models)
    json["models"].push_back({{"shape", fit.shape->name},
                              {"type", fit.mix.name},
                              {"bytes", fit.bytes},
                              {"fits", fit.fits},
                              {"expected_tokens_per_second", fit.tokens_per_second}});
  std::fputs((json.dump(2) + "\n").c_str(), stdout);
}

void print_text(const MachineInfo& m, const Ceilings& c, const std::vector<Fit>& models) {
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{:<16}{}\n", name, value);
  };
  std::string isas;
  for (const auto* table : kernels::tables())
    isas += (isas.empty() ? "" : ", ") + std::string(table->isa);
  line("processor", m.processor);
  line("cores", fmt::format("{}", m.logical_cores));
  line("instructions",
       fmt::format("{} in use; this machine has {}", kernels::active_table().isa, isas));
  line("caches", fmt::format("L1d {}, L2 {}, L3 {}", human_bytes(static_cast<double>(m.l1d_bytes)),
                             human_bytes(static_cast<double>(m.l2_bytes)),
                             human_bytes(static_cast<double>(m.l3_bytes))));
  line("memory", fmt::format("{}, {} free", human_bytes(static_cast<double>(m.memory_bytes)),
                             human_bytes(static_cast<double>(m.memory_available_bytes))));
  line("read bandwidth",
       fmt::format("{:.1f} GB/s with {} threads", c.read_bytes_per_second / 1e9, c.threads));
  line("int8 peak", fmt::format("{:.0f} GOPS", c.int8_ops_per_second / 1e9));
  line("f32 peak", fmt::format("{:.0f} GFLOPS", c.f32_ops_per_second / 1e9));
  const Sensors sensors = read_sensors();
  line("sensors", sensors.celsius.empty() && sensors.joules.empty() ? "none" : "");
  for (const auto& [name, degrees] : sensors.celsius)
    line("", fmt::format("{} {:.0f} °C", name, degrees));
  for (const auto& [name, joules] : sensors.joules) line("", name + ": energy counter");
  const auto cards = gpus();
  line("GPUs", cards.empty() ? "none found" : fmt::format("{}", fmt::join(cards, ", ")));
  text += fmt::format("\n{:<16} {:<8} {:>10} {:>6} {:>22}\n", "model shape", "type", "size", "fits",
                      "expected tokens/s");
  for (const Fit& fit : models)
    text += fmt::format("{:<16} {:<8} {:>10} {:>6} {:>22}\n", fit.shape->name, fit.mix.name,
                        human_bytes(fit.bytes), fit.fits ? "yes" : "no",
                        fit.fits ? fmt::format("{:.1f}", fit.tokens_per_second) : "");
  text +=
      "\nExpected: nine tenths of the measured read bandwidth, one stream. Try one:\n"
      "  weir synth tinyllama-1.1b --type q4_k_m && weir bench tinyllama-1.1b-q4_k_m.gguf\n";
  std::fputs(text.c_str(), stdout);
}

int run(bool json) {
  const MachineInfo machine = machine_info();
  const Ceilings ceilings = measure_ceilings(machine.logical_cores);
  const auto models = fits(ceilings, machine.memory_available_bytes);
  if (json) {
    print_json(machine, ceilings, models);
  } else {
    print_text(machine, ceilings, models);
  }
  return kSuccess;
}

}  // namespace

void add_doctor(Commands& commands) {
  auto json = std::make_shared<bool>(false);
  CLI::App* c = commands.add("doctor", "Look at this machine and say which models fit",
                             [json] { return run(*json); });
  c->add_flag("--json", *json, "Print JSON");
}

}  // namespace weir::cli
