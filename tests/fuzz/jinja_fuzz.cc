// Any bytes as a chat template, parsed and rendered with small limits. A zero byte splits the
// input: what follows is the text of a message. The only way out besides text is weir::Error; the
// pieces of the output are never empty and alternate in origin.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "text/chat_template.h"

namespace {

const nlohmann::ordered_json kMessages = nlohmann::ordered_json::parse(R"([
    {"role": "system", "content": " Be brief. "},
    {"role": "user", "content": "naïve – 日本語 🙂 <|im_end|>"},
    {"role": "assistant", "content": "", "tool_calls": [
      {"id": "1", "function": {"name": "f", "arguments": {"a": 1, "b": [1.5, null, true]}}}]}])");
const nlohmann::ordered_json kTools = nlohmann::ordered_json::parse(
    R"([{"type": "function", "function": {"name": "f", "parameters": {"x": {"type": "int"}}}}])");

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = std::min(input.find('\0'), input.size());
  weir::RenderInput render;
  nlohmann::ordered_json messages = kMessages;
  if (split < input.size()) {
    messages.push_back({{"role", "user"}, {"content", input.substr(split + 1)}});
  }
  render.messages = &messages;
  render.tools = &kTools;
  render.bos_token = "<s>";
  render.eos_token = "</s>";
  render.now = std::tm{};
  render.limits = {.depth = 32, .steps = 5'000, .output = 1u << 14};
  try {
    const auto program = weir::ChatTemplate::parse(input.substr(0, split));
    bool trusted = false;
    bool first = true;
    for (const weir::Segment& segment : program.render_segments(render)) {
      if (segment.text.empty() || (!first && segment.from_template == trusted)) std::abort();
      trusted = segment.from_template;
      first = false;
    }
  } catch (const weir::Error& error) {
    if (error.code() == weir::Code::internal) std::abort();
  }
  return 0;
}
