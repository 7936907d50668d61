#include "lab/benchmark.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/cpu.h"
#include "base/error.h"
#include "device/cpu/op_profile.h"
#include "engine/native_limits.h"
#include "model/decoder.h"

namespace weir {
namespace {

/// Operations by what computes them.
struct Kinds {
  double integer = 0, half = 0;
};

void add_work(const Tensor& weight, double share, TokenWork& work, Kinds& kinds) {
  if (weight.empty()) return;
  const auto elements = static_cast<double>(weight.shape.elements());
  work.operations += 2 * elements * share;
  work.bytes +=
      share * static_cast<double>(weight.rows()) * static_cast<double>(weight.row_bytes());
  if (info(weight.type).kind != DTypeClass::real) kinds.integer += 2 * elements * share;
  if (weight.type == DType::f16 || weight.type == DType::bf16) kinds.half += 2 * elements * share;
}

/// `depth` tokens that are the same in every run and `tokens` that are not; all are in every
/// vocabulary.
std::vector<int32_t> prompt_of(int64_t depth, int64_t tokens, int64_t run, int64_t vocabulary) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < depth + tokens; ++i) {
    const int64_t salt = i < depth ? 0 : 31 * run;
    ids.push_back(static_cast<int32_t>((i * 7919 + 13 + salt) % vocabulary));
  }
  return ids;
}

Request request_of(const Engine& engine, int64_t depth, int64_t tokens, int64_t run,
                   int64_t generate) {
  Request request;
  request.tokens = prompt_of(depth, tokens, run, engine.capabilities().vocabulary);
  request.sampling.temperature = 0.0f;
  request.sampling.ignore_eos = true;
  request.use_prefix_cache = depth > 0;  // else every run computes its whole prompt
  request.sampling.max_tokens = static_cast<int32_t>(generate + 1);
  return request;
}

struct Test {
  int64_t prompt, generate, depth = 0, batch = 1;

  std::string name() const {
    std::string name = generate == 0 ? fmt::format("pp{}", prompt) : fmt::format("tg{}", generate);
    if (batch > 1) name += fmt::format("x{}", batch);
    if (depth > 0) name += fmt::format("@{}", depth);
    return name;
  }
};

/// Tokens a second of the prompt (generate 0) or of the generation.
double one_run(Engine& engine, const Test& test, int64_t run) {
  const Request request = request_of(engine, test.depth, test.prompt, run, test.generate);
  const Statistics s = engine.run(request, [](const Event&) {});
  return test.generate == 0 ? s.prefill_tokens_per_second() : s.decode_tokens_per_second();
}

/// Tokens a second of all sequences together, from when each has its first token.
double batched_run(Engine& engine, const Test& test, int64_t run) {
  using Clock = std::chrono::steady_clock;
  std::mutex mutex;
  std::condition_variable changed;
  int64_t waiting = test.batch, over = 0, tokens = 0;
  Clock::time_point start, last;
  std::string error;
  for (int64_t b = 0; b < test.batch; ++b)
    engine.submit(request_of(engine, test.depth, test.prompt, run * test.batch + b, test.generate),
                  [&, first = true](const Event& event) mutable {
                    const std::lock_guard lock(mutex);
                    if (event.token >= 0) {
                      last = Clock::now();
                      if (waiting == 0) ++tokens;
                      if (first && --waiting == 0) start = last;
                      first = false;
                    }
                    if (event.finish == FinishReason::error) error = event.detail;
                    if (event.finish != FinishReason::none && ++over == test.batch)
                      changed.notify_one();
                  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return over == test.batch; });
  if (!error.empty()) fail(Code::internal, "a request of the batch failed: {}", error);
  return static_cast<double>(tokens) / std::chrono::duration<double>(last - start).count();
}

/// What a token of the test takes, and which ceiling bounds it.
struct Bound {
  std::string ceiling;
  double a_token = 0;  // bytes read, or operations
};

Bound bound_of(const Test& test, const TokenWork& work, double kv_bytes, const Ceilings& ceilings) {
  if (test.generate > 0) {
    const double behind = static_cast<double>(test.depth) + static_cast<double>(test.generate) / 2;
    return {"read", work.bytes / static_cast<double>(test.batch) + kv_bytes * behind};
  }
  const bool pairs = work.half && ceilings.bf16_ops_per_second > 0;
  return {work.integer ? "int8"
          : pairs      ? "bf16"
                       : "f32",
          work.operations + work.head_operations / static_cast<double>(test.prompt)};
}

/// Runs of one test, each between two measurements of its ceiling: what a shared machine gives
/// changes by the second, and a share is of what it sustained then. `tell` is called before each
/// run.
BenchmarkRow measured_row(Engine& engine, const Test& test, int repeats, const Bound& bound,
                          CeilingProbe& probe, const std::function<void()>& tell) {
  BenchmarkRow row;
  row.test = test.name();
  row.tokens = test.generate == 0 ? test.prompt : test.generate;
  row.depth = test.depth;
  row.batch = test.batch;
  row.ceiling = bound.ceiling;
  const auto run = [&](int i) {
    tell();
    return test.batch > 1 ? batched_run(engine, test, i) : one_run(engine, test, i);
  };
  run(0);  // warms up
  std::vector<Moment> moments = {probe.named(bound.ceiling)};
  std::vector<double> rates, shares, ceilings;
  for (int i = 1; i <= repeats; ++i) {
    rates.push_back(run(i));
    moments.push_back(probe.named(bound.ceiling));
    ceilings.push_back((moments.end()[-2].sustained + moments.back().sustained) / 2);
    shares.push_back(rates.back() * bound.a_token / ceilings.back());
  }
  row.tokens_per_second = spread_of(std::move(rates));
  row.share_of_ceiling = spread_of(std::move(shares)).median;
  row.ceiling_per_second = spread_of(std::move(ceilings)).median;
  for (const Moment& moment : moments)
    row.best_ceiling_per_second = std::max(row.best_ceiling_per_second, moment.best);
  row.share_of_best_ceiling =
      row.tokens_per_second.median * bound.a_token / row.best_ceiling_per_second;
  return row;
}

std::vector<OpShare> shares_of(const OpProfile& profile) {
  std::vector<OpShare> shares;
  double left = profile.total();
  const auto add = [&](std::string_view op, double seconds) {
    shares.push_back({std::string(op), seconds, seconds / profile.total()});
    left -= seconds;
  };
  for (size_t i = 0; i < kOps; ++i) add(kOpNames[i], profile.seconds(static_cast<Op>(i)));
  add("waiting", profile.waiting());
  add("between", left);
  return shares;
}

std::vector<Test> tests_of(const BenchmarkOptions& o) {
  std::vector<Test> tests;
  for (const int64_t depth : o.depths) {
    if (depth < 0 || depth % kernels::kPageTokens != 0)
      fail(Code::invalid_argument, "a depth of {} tokens, expected a multiple of {}", depth,
           kernels::kPageTokens);
    for (const int64_t p : o.prompt_tokens) tests.push_back({p, 0, depth});
    for (const int64_t batch : o.batches)
      for (const int64_t n : o.generated_tokens) tests.push_back({1, n, depth, batch});
  }
  return tests;
}

NativeOptions native_of(const BenchmarkOptions& options, const std::vector<Test>& tests,
                        OpProfile* profile) {
  NativeOptions native;
  native.threads = options.threads;
  native.kv_type = options.kv_type;
  native.numerics = options.numerics;
  native.prefill_chunk = 512;
  native.profile = profile;
  int64_t longest = 0, places = 0;
  for (const Test& t : tests) {
    const int64_t own = t.prompt + t.generate + 2 * kernels::kPageTokens;
    longest = std::max(longest, t.depth + own);
    // A cached prefix, and room for what earlier runs have left until it is evicted.
    places = std::max(places, t.depth + (t.batch + 1) * own);
    native.max_batch = std::max(native.max_batch, t.batch);
  }
  native.context_length = longest;
  native.kv_tokens = std::max(places, longest);
  return native;
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
  Kinds kinds;
  const DecoderWeights& w = model.weights();
  for (const LayerWeights& layer : w.blk) {
    for (const Linear* linear : {&layer.attn_q, &layer.attn_k, &layer.attn_v, &layer.attn_output,
                                 &layer.ffn_gate, &layer.ffn_up, &layer.ffn_down})
      add_work(linear->weight, 1, work, kinds);
    const ExpertWeights& e = layer.experts;
    for (const Tensor* tensor :
         {&e.ffn_gate_inp, &e.ffn_gate_shexp, &e.ffn_up_shexp, &e.ffn_down_shexp})
      add_work(*tensor, 1, work, kinds);
    const auto used = static_cast<double>(model.config().moe.used);
    for (const auto* experts : {&e.ffn_gate_exps, &e.ffn_up_exps, &e.ffn_down_exps})
      if (!experts->empty()) add_work(experts->front(), used, work, kinds);
  }
  work.integer = kinds.integer > work.operations / 2;
  work.half = kinds.half > work.operations / 2;
  const double before = work.operations;
  add_work(w.output.weight, 1, work, kinds);
  work.head_operations = work.operations - before;
  work.operations = before;
  return work;
}

BenchmarkReport run_benchmark(const std::shared_ptr<const Model>& model,
                              const BenchmarkOptions& options, const BenchmarkProgress& progress) {
  const std::vector<Test> tests = tests_of(options);
  OpProfile profile;
  const NativeOptions native = native_of(options, tests, options.profile ? &profile : nullptr);
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

  const int steps = 1 + static_cast<int>(tests.size()) * (options.repeats + 1);
  int step = 0;
  const auto tell = [&](const std::string& what) {
    if (progress) progress(step, steps, what);
    ++step;
  };
  tell("ceilings of this machine");
  CeilingProbe probe(report.threads, numerics_named(options.numerics));
  report.ceilings = measure_ceilings(probe);

  const TokenWork work = token_work(*model);
  const KvLayout kv = Decoder::kv_layout(model->config(), kv_type_named(options.kv_type));
  const double kv_bytes = static_cast<double>(kv.page_bytes()) / kernels::kPageTokens;
  for (const Test& test : tests) {
    report.rows.push_back(measured_row(*engine, test, options.repeats,
                                       bound_of(test, work, kv_bytes, report.ceilings), probe, [&] {
                                         tell(test.name());
                                         profile.clear();
                                       }));
    if (options.profile) report.rows.back().profile = shares_of(profile);
  }
  report.peak_memory_bytes = peak_memory_bytes();
  if (progress) progress(steps, steps, "done");
  return report;
}

}  // namespace weir
