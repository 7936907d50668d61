#include "server/request_fields.h"

namespace weir {

void apply_options(const RequestOptions& options, Request& request) {
  request.priority = options.priority == "interactive" ? Priority::interactive
                     : options.priority == "batch"     ? Priority::batch
                                                       : Priority::normal;
  request.timeout_seconds = options.timeout;
  request.use_prefix_cache = options.cache_prompt;
}

void add_answers(Call& call, const Request& request) {
  for (int32_t i = 0; i < call.options.n; ++i) {
    call.requests.push_back(request);
    auto& seed = call.requests.back().sampling.seed;
    if (seed) *seed += static_cast<uint64_t>(i);
  }
}

Request request_of(PromptInput input) {
  Request request;
  request.prompt = std::move(input.text);
  request.tokens = std::move(input.tokens);
  return request;
}

}  // namespace weir
