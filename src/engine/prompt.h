// From a request to what the engine feeds: prompt ids, checked against vocabulary and context, and
// what the sampler must know of the vocabulary.
#pragma once

#include <cstdint>
#include <vector>

#include "decoding/sampler.h"
#include "engine/engine.h"
#include "model/model.h"

namespace weir {

/// Ids of the prompt. Throws unsupported (no tokenizer, no chat template), invalid_argument (an id
/// outside the vocabulary, no tokens at all), limit_exceeded (longer than `context`).
std::vector<int32_t> prompt_tokens(const Model& model, const Request& request, int64_t context);

SamplerVocab sampler_vocabulary(const Model& model, const SamplingParams& params);

}  // namespace weir
