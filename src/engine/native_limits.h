// What the options of a native engine come to for a model: checked numbers. Each throws
// invalid_argument with the option's value and what was expected.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "kernels/kernels.h"
#include "model/model.h"
#include "tensor/dtype.h"

namespace weir {

/// Requests that run at the same time.
int64_t batch_of(const NativeOptions& options);

/// Pages of the KV cache.
int64_t pages_of(const Model& model, const NativeOptions& options);

/// Tokens that one request may use: no more than the cache has.
int64_t context_of(const Model& model, const NativeOptions& options);

/// Rows of a forward pass at most, for requests of `context` tokens.
int64_t step_tokens_of(const NativeOptions& options, int64_t context);

/// The types of a KV cache; Q8_0 and Q4_0 for models whose heads are a multiple of 32 wide.
const std::vector<std::string>& kv_type_names();
DType kv_type_named(const std::string& name);

/// The kernels of "exact" or "bf16-dot". Throws unsupported where the processor lacks the latter.
const kernels::KernelTable& numerics_named(const std::string& name);

}  // namespace weir
