// What all dialects do with the simple parameters once they are read.
#pragma once

#include <vector>

#include "server/call.h"
#include "server/messages.h"

namespace weir {

/// Sets priority, timeout and caching of `request` from the options.
void apply_options(const RequestOptions& options, Request& request);

/// Adds `n` copies of a request to the call; copy i draws with seed + i, where a seed is given.
void add_answers(Call& call, const Request& request);

Request request_of(PromptInput input);

}  // namespace weir
