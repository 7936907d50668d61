#include "lab/benchmark.h"

#include <algorithm>

#include "base/cpu.h"
#include "base/error.h"

namespace weir {
namespace {

void add_work(const Tensor& weight, double share, TokenWork& work, double& integer_operations) {
  if (weight.empty()) return;
  const auto elements = static_cast<double>(weight.shape.elements());
  work.operations += 2 * elements * share;
  work.bytes +=
      share * static_cast<double>(weight.rows()) * static_cast<double>(weight.row_bytes());
  if (info(weight.type).kind != DTypeClass::real) integer_operations += 2 * elements * share;
}

/// A prompt of tokens that are in every vocabulary and differ from one another.
std::vector<int32_t> prompt_of(int64_t tokens, int64_t vocabulary) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < tokens; ++i)
    ids.push_back(static_cast<int32_t>((i * 7919 + 13) % vocabulary));
  return ids;
}

/// One run: tokens a second of the prompt (generate 0) or of the generation.
double one_run(Engine& engine, int64_t prompt, int64_t generate) {
  Request request;
  request.tokens = prompt_of(prompt, engine.capabilities().vocabulary);
  request.sampling.temperature = 0.0f;
  request.sampling.ignore_eos = true;
  request.use_prefix_cache = false;  // every run computes its whole prompt
  request.sampling.max_tokens = static_cast<int32_t>(generate + 1);
  const Statistics s = engine.run(request, [](const Event&) {});
  return generate == 0 ? s.prefill_tokens_per_second() : s.decode_tokens_per_second();
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  WEIR_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  const double median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  return {median, values.front(), values.back()};
}

TokenWork token_work(const Model& model) {
  TokenWork work;
  double integer = 0;
  const DecoderWeights& w = model.weights();
  for (const LayerWeights& layer : w.blk) {
    for (const Linear* linear : {&layer.attn_q, &layer.attn_k, &layer.attn_v, &layer.attn_output,
                                 &layer.ffn_gate, &layer.ffn_up, &layer.ffn_down})
      add_work(linear->weight, 1, work, integer);
    const ExpertWeights& e = layer.experts;
    for (const Tensor* tensor :
         {&e.ffn_gate_inp, &e.ffn_gate_shexp, &e.ffn_up_shexp, &e.ffn_down_shexp})
      add_work(*tensor, 1, work, integer);
    const auto used = static_cast<double>(model.config().moe.used);
    for (const auto* experts : {&e.ffn_gate_exps, &e.ffn_up_exps, &e.ffn_down_exps})
      if (!experts->empty()) add_work(experts->front(), used, work, integer);
  }
  work.integer = integer > work.operations / 2;
  const double before = work.operations;
  add_work(w.output.weight, 1, work, integer);
  work.head_operations = work.operations - before;
  work.operations = before;
  return work;
}

BenchmarkReport run_benchmark(const std::shared_ptr<const Model>& model,
                              const BenchmarkOptions& options, const BenchmarkProgress& progress) {
  int64_t longest = 0;
  for (const int64_t p : options.prompt_tokens) longest = std::max(longest, p);
  for (const int64_t n : options.generated_tokens) longest = std::max(longest, n);
  NativeOptions native;
  native.threads = options.threads;
  native.kv_type = options.kv_type;
  native.context_length = longest + 16;
  native.prefill_chunk = 512;
  const auto engine = make_native_engine(model, native);

  BenchmarkReport report;
  report.model = model->summary().name;
  report.type = model->summary().types.empty()
                    ? ""
                    : std::string(info(model->summary().types.front().type).name);
  report.isa = engine->capabilities().isa;
  report.threads = engine->capabilities().threads;
  report.parameters = model->summary().parameters;
  report.model_bytes = model->summary().file_bytes;

  const auto tests =
      static_cast<int>(options.prompt_tokens.size() + options.generated_tokens.size());
  const int steps = 1 + tests * (options.repeats + 1);
  int step = 0;
  const auto tell = [&](const std::string& what) {
    if (progress) progress(step, steps, what);
    ++step;
  };
  tell("ceilings of this machine");
  report.ceilings = measure_ceilings(report.threads);

  const TokenWork work = token_work(*model);
  const auto row = [&](const std::string& name, int64_t prompt, int64_t generate) {
    std::vector<double> rates;
    for (int i = 0; i <= options.repeats; ++i) {  // the first one warms up
      tell(name);
      const double rate = one_run(*engine, prompt, generate);
      if (i > 0) rates.push_back(rate);
    }
    BenchmarkRow r{name, generate == 0 ? prompt : generate, spread_of(rates), "", 0};
    if (generate > 0) {
      r.ceiling = "read";
      r.share_of_ceiling =
          r.tokens_per_second.median * work.bytes / report.ceilings.read_bytes_per_second;
    } else {
      const double a_token = work.operations + work.head_operations / static_cast<double>(prompt);
      r.ceiling = work.integer ? "int8" : "f32";
      r.share_of_ceiling =
          r.tokens_per_second.median * a_token /
          (work.integer ? report.ceilings.int8_ops_per_second : report.ceilings.f32_ops_per_second);
    }
    report.rows.push_back(r);
  };
  for (const int64_t p : options.prompt_tokens) row("pp" + std::to_string(p), p, 0);
  for (const int64_t n : options.generated_tokens) row("tg" + std::to_string(n), 1, n);
  report.peak_memory_bytes = peak_memory_bytes();
  if (progress) progress(steps, steps, "done");
  return report;
}

}  // namespace weir
