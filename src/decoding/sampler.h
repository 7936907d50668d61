// From the logits of one position to one token. Owns the order of the processors; refuses state
// that other requests could see: a draw depends on the logits, the history, the seed and the
// position (and, with mirostat, on the tokens drawn before).
//
// The order, which is llama.cpp's default, so that the same settings mean the same thing:
//   1. logit bias (and the bans of ignore_eos)
//   2. repeat, presence and frequency penalties
//   3. DRY
//   4. further processors, such as a grammar, in the order in which they were added
//   5. temperature 0: the largest logit, the lowest id among equals; the rest does not apply
//   6. top-k, typical, top-p, min-p, XTC, each on the softmax over what the one before left;
//      with mirostat none of these
//   7. temperature
//   8. mirostat 2 (Basu et al. 2021): drop what is more surprising than mu
//   9. the draw: the token at which the cumulative probability, in the order of ids, passes the
//      random number of (seed, position)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "decoding/candidates.h"
#include "decoding/logits_processor.h"
#include "decoding/sampling_params.h"

namespace weir {

/// What a sampler must know of the model's vocabulary.
struct SamplerVocab {
  int32_t size = 0;                      // number of logits, 1 .. 2^21
  std::vector<int32_t> end_ids;          // end-of-generation tokens, banned by ignore_eos
  std::vector<int32_t> dry_breaker_ids;  // tokens_with(dry_sequence_breakers), if DRY is on
};

/// A token and a natural-log or plain probability.
struct TokenLogprob {
  int32_t id;
  double logprob;
};
struct TokenProbability {
  int32_t id;
  double probability;
};

struct Sampled {
  int32_t id = 0;
  /// Log-softmax over the raw logits, before everything above, as the model means it; set if
  /// params.logprobs >= 0.
  std::optional<double> logprob;
  /// The params.logprobs likeliest tokens by the same measure, likeliest first. Valid until the
  /// next call.
  std::span<const TokenLogprob> top;
};

class Sampler {
 public:
  /// Error{invalid_argument} if a parameter is out of range or names a token that does not exist.
  /// `params.seed` must be set unless temperature is 0.
  Sampler(const SamplingParams& params, SamplerVocab vocab);

  /// Adds a processor at step 4.
  void add(std::unique_ptr<LogitsProcessor> processor);

  /// `logits`: one per token of the vocabulary. `history`: prompt and answer so far. `position`: of
  /// the token to draw, counted from the start of the prompt. Error{numeric} if a logit is not
  /// finite, Error{invalid_argument} if every token is banned. Allocates nothing once its buffers
  /// have grown to the vocabulary and the history.
  Sampled sample(std::span<const float> logits, std::span<const int32_t> history, int64_t position);

  /// The probabilities from which sample() with the same arguments would draw, in the order of ids.
  /// Changes no state.
  std::vector<TokenProbability> probabilities(std::span<const float> logits,
                                              std::span<const int32_t> history, int64_t position);

  /// Mirostat's running limit of surprise in bits, the only state: save and restore it to go back.
  double mirostat_mu() const { return mu_; }
  void set_mirostat_mu(double mu) { mu_ = mu; }

 private:
  std::span<const float> processed(std::span<const float> logits, std::span<const int32_t> history);
  // Steps 6 to 8 on set_; returns the total mass before mirostat's cut.
  uint64_t truncate(std::span<const float> logits, int64_t position);
  void report(std::span<const float> logits, Sampled& result);

  SamplingParams params_;
  SamplerVocab vocab_;
  std::vector<std::unique_ptr<LogitsProcessor>> processors_;
  double mu_;
  CandidateSet set_;
  std::vector<float> work_;
  std::vector<Candidate> top_;
  std::vector<TokenLogprob> top_logprobs_;
};

}  // namespace weir
