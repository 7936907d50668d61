#include "server/openai_request.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/json_body.h"
#include "server/messages.h"
#include "server/request_fields.h"

namespace weir {
namespace {

using nlohmann::json;

void check_format(const json& body) {
  const auto format = body.find("response_format");
  if (format == body.end() || format->is_null()) return;
  const auto type = format->is_object() ? format->find("type") : format->end();
  if (!format->is_object() || type == format->end() || !is_text(*type, "text"))
    throw bad_parameter("response_format",
                        "parameter 'response_format' must be {\"type\": \"text\"}; structured "
                        "output is not supported");
}

bool hides_tools(const json& body) {
  const auto choice = body.find("tool_choice");
  if (choice == body.end() || choice->is_null() || is_text(*choice, "auto")) return false;
  if (is_text(*choice, "none")) return true;
  throw bad_parameter("tool_choice",
                      "parameter 'tool_choice' must be 'auto' or 'none': a call cannot be forced");
}

json sampling_json(const SamplingParams& s) {
  const SamplingParams d;
  json out = json::object();
  const auto put = [&out](const char* name, const auto& value, const auto& usual) {
    if (value != usual) out[name] = value;
  };
  put("temperature", s.temperature, d.temperature);
  put("top_k", s.top_k, d.top_k);
  put("top_p", s.top_p, d.top_p);
  put("min_p", s.min_p, d.min_p);
  put("repeat_penalty", s.repeat_penalty, d.repeat_penalty);
  put("presence_penalty", s.presence_penalty, d.presence_penalty);
  put("frequency_penalty", s.frequency_penalty, d.frequency_penalty);
  put("max_tokens", s.max_tokens, d.max_tokens);
  put("ignore_eos", s.ignore_eos, d.ignore_eos);
  if (s.seed) out["seed"] = *s.seed;
  if (!s.stop.empty()) out["stop"] = s.stop;
  if (!s.stop_ids.empty()) out["stop_ids"] = s.stop_ids;
  for (const auto& [id, bias] : s.logit_bias) out["logit_bias"][std::to_string(id)] = bias;
  return out;
}

}  // namespace

Call read_openai_chat(json body, const SamplingParams& defaults) {
  Call call;
  call.endpoint = Endpoint::openai_chat;
  Request request;
  request.sampling = defaults;
  read_parameters(body, call.endpoint, call.options, request.sampling);
  check_format(body);
  request.messages = read_messages(body);
  request.tools = read_tools(body);
  if (hides_tools(body)) request.tools.clear();
  if (const auto more = body.find("chat_template_kwargs"); more != body.end() && !more->is_null()) {
    if (!more->is_object())
      throw bad_parameter("chat_template_kwargs",
                          "parameter 'chat_template_kwargs' must be an object");
    request.template_variables = more->dump();
  }
  apply_options(call.options, request);
  add_answers(call, request);
  return call;
}

Call read_openai_completion(json body, const SamplingParams& defaults) {
  Call call;
  call.endpoint = Endpoint::openai_completion;
  Request plain;
  plain.sampling = defaults;
  plain.sampling.max_tokens = 16;  // the default of this endpoint, as published
  read_parameters(body, call.endpoint, call.options, plain.sampling);
  refuse_member(body, "suffix", "there is no filling in");
  if (const auto best = body.find("best_of");
      best != body.end() && !best->is_null() && *best != call.options.n)
    throw bad_parameter("best_of", "parameter 'best_of' must equal n: choosing is not supported");
  apply_options(call.options, plain);
  for (PromptInput& input : read_prompts(body, "prompt", true)) {
    Request request = request_of(std::move(input));
    Request filled = plain;
    filled.prompt = std::move(request.prompt);
    filled.tokens = std::move(request.tokens);
    add_answers(call, filled);
  }
  return call;
}

Call read_openai_embeddings(json body) {
  Call call;
  call.endpoint = Endpoint::openai_embeddings;
  SamplingParams none;
  read_parameters(body, call.endpoint, call.options, none);
  for (PromptInput& input : read_prompts(body, "input", true)) {
    if (input.is_text && input.text.empty())
      throw bad_parameter("input", "parameter 'input' must not hold empty texts");
    Request request = request_of(std::move(input));
    apply_options(call.options, request);
    call.requests.push_back(std::move(request));
  }
  return call;
}

std::string write_openai_request(const Request& request, const std::string& model, bool stream) {
  json body = sampling_json(request.sampling);
  if (!model.empty()) body["model"] = model;
  if (stream) {
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
  }
  if (request.timeout_seconds > 0) body["timeout"] = request.timeout_seconds;
  if (!request.use_prefix_cache) body["cache_prompt"] = false;
  if (request.priority != Priority::normal)
    body["priority"] = request.priority == Priority::batch ? "batch" : "interactive";
  if (!request.messages.empty()) {
    for (const ChatMessage& message : request.messages) {
      json item = message.extra.empty() ? json::object() : json::parse(message.extra);
      item["role"] = message.role;
      item["content"] = message.content;
      body["messages"].push_back(std::move(item));
    }
    if (!request.tools.empty()) body["tools"] = json::parse(request.tools);
    if (request.sampling.logprobs >= 0) {
      body["logprobs"] = true;
      body["top_logprobs"] = request.sampling.logprobs;
    }
  } else {
    if (request.tokens.empty())
      body["prompt"] = request.prompt;
    else
      body["prompt"] = request.tokens;
    if (request.sampling.logprobs >= 0) body["logprobs"] = request.sampling.logprobs;
    body["max_tokens"] = request.sampling.max_tokens;
  }
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace weir
