#include "server/ollama_request.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/json_body.h"
#include "server/messages.h"
#include "server/request_fields.h"

namespace weir {
namespace {

using nlohmann::json;

constexpr double kLongest = 1e9;  // seconds; also stands for "for ever"

struct Unit {
  std::string_view name;
  double seconds;
};
// Longer names first: "ms" is no "m".
constexpr Unit kUnits[] = {{"ns", 1e-9}, {"us", 1e-6}, {"µs", 1e-6}, {"ms", 1e-3},
                           {"h", 3600},  {"m", 60},    {"s", 1}};

std::optional<double> parse_duration(std::string_view text) {
  const bool negative = text.starts_with("-");
  if (negative || text.starts_with("+")) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  double sum = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits)
      if (unit == nullptr && text.starts_with(candidate.name)) unit = &candidate;
    if (unit == nullptr) {
      if (!text.empty() || sum != 0) return std::nullopt;
      return negative ? -number : number;  // a bare number: seconds
    }
    text.remove_prefix(unit->name.size());
    sum += number * unit->seconds;
  }
  return negative ? -sum : sum;
}

Call start(json& body, Endpoint endpoint, Request& request) {
  Call call;
  call.endpoint = endpoint;
  call.options.stream = endpoint != Endpoint::ollama_embed;  // the dialect's default
  read_parameters(body, endpoint, call.options, request.sampling);
  call.keep_alive = read_keep_alive(body);
  if (endpoint != Endpoint::ollama_embed)
    refuse_member(body, "format", "structured output is not there yet");
  apply_options(call.options, request);
  return call;
}

}  // namespace

std::optional<double> read_keep_alive(const json& body) {
  const auto value = body.find("keep_alive");
  if (value == body.end() || value->is_null()) return std::nullopt;
  std::optional<double> seconds;
  if (value->is_number()) seconds = value->get<double>();
  if (value->is_string()) seconds = parse_duration(value->get_ref<const std::string&>());
  if (!seconds || !(*seconds >= -kLongest && *seconds <= kLongest))
    throw bad_parameter("keep_alive",
                        "parameter 'keep_alive' must be seconds or a duration such as \"5m\"");
  return seconds;
}

Call read_ollama_generate(json body, const SamplingParams& defaults) {
  Request request;
  request.sampling = defaults;
  Call call = start(body, Endpoint::ollama_generate, request);
  refuse_member(body, "suffix", "there is no filling in");
  refuse_member(body, "template", "the model's own chat template is used");
  refuse_member(body, "images", "this server reads text only");
  const auto prompt = body.find("prompt");
  if (prompt == body.end() || prompt->is_null() || is_text(*prompt, "")) {
    call.only_load = true;
    return call;
  }
  if (!prompt->is_string()) throw bad_parameter("prompt", "parameter 'prompt' must be a text");
  std::string text = std::move(prompt->get_ref<std::string&>());
  if (call.options.raw) {
    request.prompt = std::move(text);
    request.parse_special = true;  // raw means that the caller writes the template's tokens
  } else {
    if (!call.options.system.empty())
      request.messages.push_back({"system", call.options.system, ""});
    request.messages.push_back({"user", std::move(text), ""});
  }
  call.requests.push_back(std::move(request));
  return call;
}

Call read_ollama_chat(json body, const SamplingParams& defaults) {
  Request request;
  request.sampling = defaults;
  Call call = start(body, Endpoint::ollama_chat, request);
  const auto messages = body.find("messages");
  if (messages == body.end() || messages->is_null() ||
      (messages->is_array() && messages->empty())) {
    call.only_load = true;
    return call;
  }
  request.messages = read_messages(body);
  request.tools = read_tools(body);
  call.requests.push_back(std::move(request));
  return call;
}

Call read_ollama_embed(json body) {
  Request request;
  Call call = start(body, Endpoint::ollama_embed, request);
  for (PromptInput& input : read_prompts(body, "input", true)) {
    if (input.is_text && input.text.empty())
      throw bad_parameter("input", "parameter 'input' must not hold empty texts");
    call.requests.push_back(request_of(std::move(input)));
    apply_options(call.options, call.requests.back());
  }
  return call;
}

std::string write_ollama_request(const Request& request, const std::string& model, bool stream) {
  json body = {{"model", model}, {"stream", stream}};
  const SamplingParams& s = request.sampling;
  json& options = body["options"];
  options = {{"temperature", s.temperature},
             {"top_k", s.top_k},
             {"top_p", s.top_p},
             {"min_p", s.min_p},
             {"num_predict", s.max_tokens}};
  if (s.seed) options["seed"] = *s.seed;
  if (!s.stop.empty()) options["stop"] = s.stop;
  if (request.messages.empty()) {
    body["prompt"] = request.prompt;
    body["raw"] = true;
  }
  for (const ChatMessage& message : request.messages)
    body["messages"].push_back({{"role", message.role}, {"content", message.content}});
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace weir
