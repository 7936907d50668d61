// One request inside the native engine: what the scheduler does not need to know of it. Made on the
// thread that submits, then owned by the thread that runs the engine.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "decoding/sampler.h"
#include "engine/answer.h"
#include "engine/engine.h"

namespace weir {

using SteadyClock = std::chrono::steady_clock;

struct Job {
  Request request;  // its tokens are the prompt's ids; the seed is set
  EventSink sink;
  SteadyClock::time_point submitted;

  EventSink relay;  // to `sink`, except for the last event, which waits in `last`
  std::optional<Sampler> sampler;
  std::optional<Answer> answer;
  Event last;
  bool over = false;
  std::exception_ptr thrown;  // by the sink; nothing more is sent then

  bool wants_states = false;
  std::vector<double> state_sum;  // over the prompt's positions, in their order

  Sampled sampled;  // of the step at work
  std::optional<Error> error;

  SteadyClock::time_point first_step{}, first_logits{}, first_token{}, last_token{};
  Statistics statistics;
};

}  // namespace weir
