// What a caller may ask of decoding: the one declaration that flags, API parameters and docs come
// from. Owns names, ranges and defaults; refuses to act on them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"

namespace weir {

// The defaults are those of llama.cpp, so that people find what they are used to. Processors act
// in the order written in decoding/sampler.h.
struct SamplingParams {
  float temperature = 0.8f;  // 0: greedy, the most likely token
  int32_t top_k = 40;        // 0: off
  float top_p = 0.95f;       // 1: off
  float min_p = 0.05f;       // 0: off
  float typical_p = 1.0f;    // 1: off

  float repeat_penalty = 1.0f;     // 1: off
  int32_t repeat_last_n = 64;      // tokens looked back; 0: none, -1: all
  float presence_penalty = 0.0f;   // 0: off
  float frequency_penalty = 0.0f;  // 0: off

  float dry_multiplier = 0.0f;  // 0: off
  float dry_base = 1.75f;
  int32_t dry_allowed_length = 2;
  int32_t dry_penalty_last_n = -1;  // tokens looked back; 0: none, -1: all
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};

  float xtc_probability = 0.0f;  // 0: off
  float xtc_threshold = 0.1f;    // above 0.5: off

  int32_t mirostat = 0;       // 0: off, 2: version 2
  float mirostat_tau = 5.0f;  // target surprise, bits
  float mirostat_eta = 0.1f;  // learning rate

  std::map<int32_t, float> logit_bias;  // token id -> added to its logit; -inf bans it
  bool ignore_eos = false;              // end-of-generation tokens are never drawn
  std::optional<uint64_t> seed;         // unset: the engine draws one and reports it

  std::vector<std::string> stop;  // texts that end the answer; not part of it
  std::vector<int32_t> stop_ids;  // token ids that end the answer
  int32_t max_tokens = -1;        // -1: until the context is full
  int32_t logprobs = -1;          // -1: none; 0: of the chosen token; n: also of the n likeliest
};

/// The options of SamplingParams, in the order of help texts.
const OptionTable<SamplingParams>& sampling_options();

}  // namespace weir
