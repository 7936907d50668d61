// The order in which an answer ends: an end token says nothing, a stop text is cut off, and what
// was held back is shown where the answer ends for another reason.
#include "engine/answer.h"

#include "base/error.h"

namespace weir {

Answer::Answer(std::shared_ptr<const Tokenizer> tokenizer, const SamplingParams& params,
               int64_t room, int64_t context, const std::function<void(const Event&)>& on_event)
    : tokenizer_(std::move(tokenizer)),
      params_(params),
      room_(room),
      context_(context),
      on_event_(on_event),
      stop_(params.stop) {
  // An answer continues the prompt: its first space is part of it.
  if (tokenizer_ != nullptr)
    text_.emplace(tokenizer_, Tokenizer::DecodeOptions{.skip_special = true, .text_start = false});
}

FinishReason Answer::reason_after(int32_t id) const {
  if (is_stop_id(params_.stop_ids, id)) return FinishReason::stop;
  if (!params_.ignore_eos && tokenizer_ != nullptr && tokenizer_->is_end_of_generation(id))
    return FinishReason::stop;
  if (params_.max_tokens >= 0 && tokens_ >= params_.max_tokens) return FinishReason::length;
  if (tokens_ >= room_) return FinishReason::context;
  return FinishReason::none;
}

bool Answer::push(const Sampled& token) {
  ++tokens_;
  Event event;
  event.token = token.id;
  event.log_probability = token.logprob.value_or(0.0);
  event.top.assign(token.top.begin(), token.top.end());
  const FinishReason reason = reason_after(token.id);
  const bool shown = reason != FinishReason::stop && text_ &&
                     token.id < tokenizer_->vocab_size();  // the embedding may have spare rows
  if (shown) {
    const auto out = stop_.push(text_->push(token.id));
    event.text = out.emit;
    if (out.stopped) {
      finish(std::move(event), FinishReason::stop);
      return true;
    }
  }
  if (reason == FinishReason::none) {
    on_event_(event);
    return false;
  }
  finish(std::move(event), reason);
  return true;
}

void Answer::end(FinishReason reason, Code code, std::string detail) {
  Event event;
  event.code = code;
  event.detail = std::move(detail);
  finish(std::move(event), reason);
}

void Answer::finish(Event event, FinishReason reason) {
  if (text_ && !stop_.matched()) {
    const auto rest = stop_.push(text_->finish());
    event.text += rest.emit;
    if (rest.stopped && reason != FinishReason::error)
      reason = FinishReason::stop;
    else
      event.text += stop_.finish();
  }
  event.finish = reason;
  if (reason == FinishReason::context)
    event.detail = fmt::format(
        "the context of {} tokens is full; ask for a longer one or start anew", context_);
  on_event_(event);
}

}  // namespace weir
