// What changes logits before a token is chosen, by what stands in the text already: bias,
// penalties, DRY. Owns these and the interface (constraints implement it too); refuses to truncate
// or draw.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "decoding/sampling_params.h"

namespace weir {

/// Changes the logits of the next token in place. -inf means "never". May keep scratch memory, but
/// no state that changes results: the same arguments give the same logits.
class LogitsProcessor {
 public:
  virtual ~LogitsProcessor() = default;

  /// `logits`: one a token of the vocabulary. `history`: ids of the prompt and the answer so far.
  virtual void process(std::span<float> logits, std::span<const int32_t> history) = 0;
};

/// logits[id] += bias; ids of `banned` become -inf. Error{invalid_argument} for an id that the
/// vocabulary lacks.
std::unique_ptr<LogitsProcessor> make_logit_bias(const std::map<int32_t, float>& bias,
                                                 std::span<const int32_t> banned,
                                                 int32_t vocab_size);

/// For each token that occurs n > 0 times in the last `repeat_last_n` of the history: a positive
/// logit is divided by repeat_penalty, any other multiplied (Keskar et al. 2019, CTRL); then
/// n * frequency_penalty + presence_penalty is subtracted.
std::unique_ptr<LogitsProcessor> make_penalties(const SamplingParams& params, int32_t vocab_size);

/// DRY ("don't repeat yourself", p-e-w, text-generation-webui #5637): a token that would prolong a
/// repetition of n tokens, n >= allowed_length, loses multiplier * base^(n - allowed_length). A
/// repetition does not reach over `breakers` (sorted token ids), and breakers are not penalised.
std::unique_ptr<LogitsProcessor> make_dry(const SamplingParams& params,
                                          std::vector<int32_t> breakers, int32_t vocab_size);

/// The sorted ids of the tokens whose text contains one of the texts. `piece(id)` is the text of a
/// token.
template <typename Piece>
std::vector<int32_t> tokens_with(std::span<const std::string> texts, int32_t vocab_size,
                                 Piece piece) {
  std::vector<int32_t> result;
  for (int32_t id = 0; id < vocab_size; ++id) {
    const auto& token = piece(id);  // a view or a string of its own, which must outlive the search
    for (const auto& text : texts) {
      if (token.find(text) != std::string::npos) {
        result.push_back(id);
        break;
      }
    }
  }
  return result;
}

}  // namespace weir
