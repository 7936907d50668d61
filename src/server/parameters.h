// Every parameter of every endpoint, declared once: name, type, range, default, where it is known.
// Parsing, checks, error messages and docs/api.md come from this table. What is simple is read here
// (into RequestOptions and SamplingParams); what has structure (messages, tools, …) is read by the
// dialect, and the table only knows its name.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/options.h"
#include "decoding/sampling_params.h"

namespace weir {

/// What a body is for. Values are bits, so that a row can name several.
enum class Endpoint : uint32_t {
  openai_chat = 1,
  openai_completion = 2,
  openai_embeddings = 4,
  ollama_generate = 8,
  ollama_chat = 16,
  ollama_embed = 32,
  ollama_show = 64,
  plain_generate = 128,
  plain_tokenize = 256,
  plain_detokenize = 512,
};

/// "POST /v1/chat/completions"
std::string_view endpoint_name(Endpoint endpoint);
std::span<const Endpoint> all_endpoints();

/// Simple parameters beside those of sampling.
struct RequestOptions {
  std::string model;   // empty: the server's first
  std::string system;  // Ollama generate
  std::string priority = "normal";
  std::string encoding_format = "float";
  bool stream = false;
  bool include_usage = false;
  bool echo = false;
  bool raw = false;
  bool logprobs = false;  // the switch of chat dialects; completions give a number
  bool cache_prompt = true;
  bool add_special = true;
  bool parse_special = false;
  int32_t n = 1;  // answers to each prompt
  int32_t top_logprobs = 0;
  int32_t dimensions = 0;  // of embeddings; 0: all
  double timeout = 0;      // seconds; 0: the server's
};

const OptionTable<RequestOptions>& request_options();

struct Parameter {
  enum class Role {
    sampling,    // an option of sampling_options()
    request,     // an option of request_options()
    structured,  // read by the dialect; `type` says what it is
    accepted,    // known to the dialect, without meaning here: read past
  };
  std::string name;    // in JSON
  std::string object;  // the member of the body it stands in, or empty: the body itself
  uint32_t endpoints;  // bits of Endpoint
  Role role;
  std::string option;  // sampling, request: the option's name
  std::string type;    // structured: in words
  std::string help;    // structured, accepted

  bool known_to(Endpoint endpoint) const {
    return (endpoints & static_cast<uint32_t>(endpoint)) != 0;
  }
};

std::span<const Parameter> parameters();

/// The declaration behind a simple parameter; null for the others.
const OptionInfo* option_of(const Parameter& parameter);

/// Reads all simple parameters of a body and refuses unknown ones, with the nearest name. Values
/// that are null count as absent. Throws ApiError (400) that names the parameter.
void read_parameters(const nlohmann::json& body, Endpoint endpoint, RequestOptions& options,
                     SamplingParams& sampling);

/// docs/api.md: the reference page, made from the table of routes and this one.
std::string api_reference();

}  // namespace weir
