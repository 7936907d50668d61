#include "engine/prompt.h"

#include "base/checked.h"
#include "base/error.h"
#include "decoding/logits_processor.h"
#include "engine/chat_prompt.h"
#include "engine/prompt_too_long.h"

namespace weir {

std::vector<int32_t> prompt_tokens(const Model& model, const Request& request, int64_t context) {
  std::vector<int32_t> ids = request.tokens;
  if (ids.empty() && !request.messages.empty()) {
    ids = chat_tokens(model, request.messages, request.tools, request.template_variables);
  } else if (ids.empty()) {
    if (model.tokenizer() == nullptr)
      fail(Code::unsupported, "the model has no tokenizer: give token ids instead of text");
    ids = model.tokenizer()->encode(request.prompt, {.add_special = request.add_special,
                                                     .parse_special = request.parse_special});
  }
  if (ids.empty()) fail(Code::invalid_argument, "the prompt is empty and the model adds no token");
  for (const int32_t id : ids)
    if (id < 0 || id >= model.config().vocabulary)
      fail(Code::invalid_argument, "token id {}, the vocabulary has ids 0 to {}", id,
           model.config().vocabulary - 1);
  const auto length = static_cast<int64_t>(ids.size());
  if (length > context) throw PromptTooLong(length, context);
  return ids;
}

SamplerVocab sampler_vocabulary(const Model& model, const SamplingParams& params) {
  SamplerVocab vocabulary;
  const auto size = checked_cast<int32_t>(model.config().vocabulary);
  if (!size) fail(Code::unsupported, "a vocabulary of {} tokens", model.config().vocabulary);
  vocabulary.size = *size;
  const Tokenizer* const tokenizer = model.tokenizer().get();
  if (tokenizer == nullptr) return vocabulary;
  if (params.ignore_eos)
    for (int32_t id = 0; id < tokenizer->vocab_size(); ++id)
      if (tokenizer->is_end_of_generation(id)) vocabulary.end_ids.push_back(id);
  if (params.dry_multiplier != 0.0f) {
    std::string text;  // of the token being looked at
    vocabulary.dry_breaker_ids = tokens_with(params.dry_sequence_breakers, tokenizer->vocab_size(),
                                             [&](int32_t id) -> std::string_view {
                                               text = tokenizer->piece(id);
                                               return text;
                                             });
  }
  return vocabulary;
}

}  // namespace weir
