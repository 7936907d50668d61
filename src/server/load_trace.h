// TraceArrival traces: when requests came and how long they were. Reads the CSV files of Azure's
// LLM inference traces and the JSON lines of Mooncake's. Refuses prompts: traces hold none.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace weir {

struct TraceArrival {
  double seconds = 0;  // after the first one
  int64_t prompt_tokens = 0, generated_tokens = 0;
};

/// Azure: a header line, then TIMESTAMP,ContextTokens,GeneratedTokens. Mooncake: one object a line
/// with timestamp (ms), input_length and output_length. In order of arrival. Throws bad_format
/// with the line.
std::vector<TraceArrival> parse_trace(std::string_view content);

}  // namespace weir
