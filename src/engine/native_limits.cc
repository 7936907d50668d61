#include "engine/native_limits.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/kernels.h"

namespace weir {

using kernels::kPageTokens;

namespace {

constexpr int64_t kMostBatch = 4096;

int64_t wanted_context(const Model& model, const NativeOptions& options) {
  const int64_t trained = model.config().context;
  const int64_t context =
      options.context_length == 0 ? std::min(trained, kDefaultContext) : options.context_length;
  if (context < 1 || context > (int64_t{1} << 32) ||
      (model.config().learned_positions && context > trained))
    fail(Code::invalid_argument, "a context of {} tokens, expected 1 to {}", context, trained);
  return context;
}

}  // namespace

int64_t batch_of(const NativeOptions& options) {
  if (options.max_batch < 1 || options.max_batch > kMostBatch)
    fail(Code::invalid_argument, "a batch of {} requests, expected 1 to {}", options.max_batch,
         kMostBatch);
  return options.max_batch;
}

int64_t pages_of(const Model& model, const NativeOptions& options) {
  if (options.kv_tokens < 0)
    fail(Code::invalid_argument,
         "a KV cache for {} tokens, expected 1 or more, or 0 for as many "
         "as the requests can need",
         options.kv_tokens);
  const int64_t page = kPageTokens;
  if (options.kv_tokens > 0) return std::max<int64_t>(options.kv_tokens / page, 1);
  return batch_of(options) * div_up(wanted_context(model, options), page);
}

int64_t context_of(const Model& model, const NativeOptions& options) {
  return std::min(wanted_context(model, options), pages_of(model, options) * kPageTokens);
}

const std::vector<std::string>& kv_type_names() {
  static const std::vector<std::string> kNames = {"f32", "f16", "bf16", "q8_0", "q4_0"};
  return kNames;
}

DType kv_type_named(const std::string& name) {
  const auto& names = kv_type_names();
  const auto type = dtype_by_name(name);
  if (!type || std::find(names.begin(), names.end(), name) == names.end())
    fail(Code::invalid_argument, "KV type '{}' is not known; Weir has {}", name,
         fmt::join(names, ", "));
  return *type;
}

const kernels::KernelTable& numerics_named(const std::string& name) {
  if (name == "exact") return kernels::active_table();
  if (name == "bf16-dot") return kernels::bf16_dot_table();
  fail(Code::invalid_argument, "numerics '{}' is not known; Weir has exact, bf16-dot", name);
}

int64_t step_tokens_of(const NativeOptions& options, int64_t context) {
  if (options.prefill_chunk < 1 || options.prefill_chunk > 65536)
    fail(Code::invalid_argument, "a prefill chunk of {} tokens, expected 1 to 65536",
         options.prefill_chunk);
  return std::max(std::min(options.prefill_chunk, context), batch_of(options));
}

}  // namespace weir
