// From tokens to events: what of an answer may be shown when. Owns the detokenizer, the search for
// stop texts and the reasons to finish; refuses to choose tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "decoding/sampler.h"
#include "decoding/stop.h"
#include "engine/engine.h"
#include "text/detokenizer.h"

namespace weir {

class Answer {
 public:
  /// `tokenizer` may be null: events then carry ids only. `room`: tokens that still fit the context
  /// (after the prompt), `context` for the message.
  Answer(std::shared_ptr<const Tokenizer> tokenizer, const SamplingParams& params, int64_t room,
         int64_t context, const std::function<void(const Event&)>& on_event);

  /// Takes the next token and sends its event. Returns true when the answer is finished.
  bool push(const Sampled& token);

  /// Ends the answer early: what was held back is shown.
  void end(FinishReason reason, Code code = {}, std::string detail = "");

  int64_t tokens() const { return tokens_; }

 private:
  FinishReason reason_after(int32_t id) const;
  void finish(Event event, FinishReason reason);

  std::shared_ptr<const Tokenizer> tokenizer_;
  const SamplingParams& params_;
  int64_t room_, context_;
  const std::function<void(const Event&)>& on_event_;
  std::optional<StreamDetokenizer> text_;
  StopMatcher stop_;
  int64_t tokens_ = 0;
};

}  // namespace weir
