#include "text/chat_template.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "text/jinja/template.h"

namespace weir {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 12> kReserved = {
    "messages",  "tools",  "add_generation_prompt", "bos_token", "eos_token",   "range", "dict",
    "namespace", "cycler", "raise_exception",       "joiner",    "strftime_now"};

std::tm local_now() {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  localtime_r(&now, &out);
  return out;
}

}  // namespace

struct ChatTemplate::Impl {
  jinja::Template program;

  jinja::Rendered render(const RenderInput& input) const {
    const ordered_json prompt = input.add_generation_prompt;
    const ordered_json bos = input.bos_token;
    const ordered_json eos = input.eos_token;
    std::vector<jinja::Variable> variables = {
        {"messages", input.messages, false, true},
        {"add_generation_prompt", &prompt},
        {"bos_token", &bos, true},
        {"eos_token", &eos, true},
    };
    if (input.tools != nullptr) variables.push_back({"tools", input.tools});
    for (const auto& [name, value] : input.extra) {
      if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end()) {
        fail(Code::invalid_argument, "the template variable '{}' cannot be set from outside", name);
      }
      variables.push_back({name, value});
    }
    jinja::Limits limits;
    limits.depth = input.limits.depth;
    limits.steps = input.limits.steps;
    limits.output = input.limits.output;
    return program.render(variables, input.now ? *input.now : local_now(), limits);
  }
};

ordered_json chat_messages_json(std::span<const ChatMessage> messages) {
  ordered_json out = ordered_json::array();
  for (const ChatMessage& message : messages) {
    ordered_json entry = {{"role", message.role}, {"content", message.content}};
    if (!message.extra.empty()) {
      const ordered_json extra = ordered_json::parse(message.extra, nullptr, false);
      if (!extra.is_object()) {
        fail(Code::invalid_argument, "the extra members of a chat message must be a JSON object");
      }
      for (const auto& [key, value] : extra.items()) entry[key] = value;
    }
    out.push_back(std::move(entry));
  }
  return out;
}

ChatTemplate ChatTemplate::parse(const std::string& source) {
  return ChatTemplate(std::make_shared<Impl>(Impl{jinja::Template::parse(source)}));
}

std::string ChatTemplate::render(const RenderInput& input) const {
  return impl_->render(input).text;
}

std::vector<Segment> ChatTemplate::render_segments(const RenderInput& input) const {
  const jinja::Rendered rendered = impl_->render(input);
  std::vector<Segment> out;
  std::size_t begin = 0;
  for (const jinja::OutputRun& run : rendered.runs) {
    out.push_back({rendered.text.substr(begin, run.end - begin), run.trusted});
    begin = run.end;
  }
  return out;
}

}  // namespace weir
