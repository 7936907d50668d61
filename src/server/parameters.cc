#include "server/parameters.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/api_error.h"
#include "text/utf8.h"

namespace weir {
namespace {

using nlohmann::json;

struct EndpointName {
  Endpoint endpoint;
  std::string_view name;
};
constexpr std::array kEndpoints = {
    EndpointName{Endpoint::openai_chat, "POST /v1/chat/completions"},
    EndpointName{Endpoint::openai_completion, "POST /v1/completions"},
    EndpointName{Endpoint::openai_embeddings, "POST /v1/embeddings"},
    EndpointName{Endpoint::ollama_generate, "POST /api/generate"},
    EndpointName{Endpoint::ollama_chat, "POST /api/chat"},
    EndpointName{Endpoint::ollama_embed, "POST /api/embed"},
    EndpointName{Endpoint::ollama_show, "POST /api/show"},
    EndpointName{Endpoint::plain_generate, "POST /generate"},
    EndpointName{Endpoint::plain_tokenize, "POST /tokenize"},
    EndpointName{Endpoint::plain_detokenize, "POST /detokenize"},
};

OptionValue to_option_value(const json& value) {
  switch (value.type()) {
    case json::value_t::boolean:
      return {value.get<bool>()};
    case json::value_t::number_integer:
      return {value.get<int64_t>()};
    case json::value_t::number_unsigned: {
      const auto number = value.get<uint64_t>();
      if (number <= static_cast<uint64_t>(INT64_MAX)) return {static_cast<int64_t>(number)};
      return {number};
    }
    case json::value_t::number_float:
      return {value.get<double>()};
    case json::value_t::string:
      return {value.get<std::string>()};
    case json::value_t::array: {
      OptionList list;
      for (const json& item : value) list.push_back(to_option_value(item));
      return {std::move(list)};
    }
    case json::value_t::object: {
      OptionObject object;
      for (const auto& [key, item] : value.items()) object.push_back({key, to_option_value(item)});
      return {std::move(object)};
    }
    default:
      return {};
  }
}

const Parameter* find_row(std::string_view object, std::string_view name, Endpoint endpoint) {
  for (const Parameter& row : parameters())
    if (row.known_to(endpoint) && row.object == object && row.name == name) return &row;
  return nullptr;
}

[[noreturn]] void refuse_unknown(const std::string& path, std::string_view object,
                                 const std::string& name, Endpoint endpoint) {
  std::vector<std::string> names;
  for (const Parameter& row : parameters())
    if (row.known_to(endpoint) && row.object == object) names.push_back(row.name);
  const std::string shown = path.substr(0, valid_utf8_prefix(std::string_view(path).substr(0, 64)));
  const auto nearest = nearest_name(name, names);
  ApiError error = bad_parameter(
      shown, fmt::format("unknown parameter '{}' of {}{}", shown, endpoint_name(endpoint),
                         nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
  error.code = "unknown_parameter";
  throw error;
}

/// The tables speak of options by their own names; the client wrote the parameter's.
std::string in_words_of(const std::string& path, const std::string& message) {
  const auto end = message.find('\'', message.find('\'') + 1);
  if (!message.starts_with("option '") || end == std::string::npos) return message;
  return "parameter '" + path + message.substr(end);
}

void read_members(const json& object, const std::string& object_name, Endpoint endpoint,
                  RequestOptions& options, SamplingParams& sampling) {
  for (const auto& [name, value] : object.items()) {
    const std::string path = object_name.empty() ? name : fmt::format("{}.{}", object_name, name);
    const Parameter* row = find_row(object_name, name, endpoint);
    if (row == nullptr) refuse_unknown(path, object_name, name, endpoint);
    if (value.is_null()) continue;
    try {
      if (row->role == Parameter::Role::sampling)
        sampling_options().set(sampling, row->option, to_option_value(value));
      else if (row->role == Parameter::Role::request)
        request_options().set(options, row->option, to_option_value(value));
    } catch (const Error& error) {
      throw bad_parameter(path, in_words_of(path, error.what()));
    }
  }
}

void expect_choice(const char* name, const std::string& value,
                   std::initializer_list<const char*> choices) {
  for (const char* choice : choices)
    if (value == choice) return;
  throw bad_parameter(
      name, fmt::format("parameter '{}' must be one of '{}'", name, fmt::join(choices, "', '")));
}

}  // namespace

std::string_view endpoint_name(Endpoint endpoint) {
  for (const EndpointName& entry : kEndpoints)
    if (entry.endpoint == endpoint) return entry.name;
  return "";
}

std::span<const Endpoint> all_endpoints() {
  static const auto kAll = [] {
    std::array<Endpoint, kEndpoints.size()> all{};
    for (size_t i = 0; i < all.size(); ++i) all[i] = kEndpoints[i].endpoint;
    return all;
  }();
  return kAll;
}

const OptionInfo* option_of(const Parameter& parameter) {
  if (parameter.role == Parameter::Role::sampling)
    return &sampling_options().info(parameter.option);
  if (parameter.role == Parameter::Role::request) return &request_options().info(parameter.option);
  return nullptr;
}

void read_parameters(const json& body, Endpoint endpoint, RequestOptions& options,
                     SamplingParams& sampling) {
  read_members(body, "", endpoint, options, sampling);
  for (const char* name : {"options", "stream_options"}) {
    const auto member = body.find(name);
    if (member == body.end() || member->is_null()) continue;
    if (!member->is_object())
      throw bad_parameter(name, fmt::format("parameter '{}' must be an object", name));
    read_members(*member, name, endpoint, options, sampling);
  }
  expect_choice("priority", options.priority, {"interactive", "normal", "batch"});
  expect_choice("encoding_format", options.encoding_format, {"float", "base64"});
  if (endpoint == Endpoint::openai_chat || endpoint == Endpoint::ollama_chat ||
      endpoint == Endpoint::ollama_generate) {
    if (options.top_logprobs > 0 && !options.logprobs)
      throw bad_parameter("top_logprobs", "parameter 'top_logprobs' needs 'logprobs': true");
    if (options.logprobs) sampling.logprobs = options.top_logprobs;
  }
}

}  // namespace weir
