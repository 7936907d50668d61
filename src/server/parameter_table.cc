// The rows of the parameter table.
#include <string>
#include <vector>

#include "server/parameters.h"

namespace weir {
namespace {

using O = RequestOptions;
using Role = Parameter::Role;

constexpr uint32_t bit(Endpoint endpoint) { return static_cast<uint32_t>(endpoint); }
constexpr uint32_t kChat = bit(Endpoint::openai_chat);
constexpr uint32_t kCompletion = bit(Endpoint::openai_completion);
constexpr uint32_t kEmbeddings = bit(Endpoint::openai_embeddings);
constexpr uint32_t kOpenAi = kChat | kCompletion | kEmbeddings;
constexpr uint32_t kOllamaGenerate = bit(Endpoint::ollama_generate);
constexpr uint32_t kOllamaChat = bit(Endpoint::ollama_chat);
constexpr uint32_t kOllamaEmbed = bit(Endpoint::ollama_embed);
constexpr uint32_t kOllamaText = kOllamaGenerate | kOllamaChat;
constexpr uint32_t kOllamaShow = bit(Endpoint::ollama_show);
constexpr uint32_t kOllama = kOllamaText | kOllamaEmbed | kOllamaShow;
constexpr uint32_t kGenerate = bit(Endpoint::plain_generate);
constexpr uint32_t kTokenize = bit(Endpoint::plain_tokenize);
constexpr uint32_t kDetokenize = bit(Endpoint::plain_detokenize);
constexpr uint32_t kPlain = kGenerate | kTokenize | kDetokenize;

OptionRange between(double minimum, double maximum) {
  OptionRange range;
  range.minimum = minimum;
  range.maximum = maximum;
  return range;
}

OptionRange bytes_at_most(size_t bytes) {
  OptionRange range;
  range.max_bytes = bytes;
  return range;
}

/// Sampling options, under their own names. Ollama has them in "options".
void add_sampling(std::vector<Parameter>& rows) {
  for (const OptionInfo& info : sampling_options().infos()) {
    if (info.name == "logprobs") {  // a switch in the chat dialects
      rows.push_back({info.name, "", kCompletion | kGenerate, Role::sampling, info.name, "", ""});
      continue;
    }
    const uint32_t top = kChat | kCompletion | kGenerate;
    rows.push_back({info.name, "", top, Role::sampling, info.name, "", ""});
    if (info.name != "max_tokens")
      rows.push_back({info.name, "options", kOllamaText, Role::sampling, info.name, "", ""});
  }
  rows.push_back({"max_completion_tokens", "", kChat, Role::sampling, "max_tokens", "", ""});
  rows.push_back({"num_predict", "options", kOllamaText, Role::sampling, "max_tokens", "", ""});
  rows.push_back({"n_predict", "", kGenerate, Role::sampling, "max_tokens", "", ""});
  rows.push_back(
      {"repetition_penalty", "", kChat | kCompletion, Role::sampling, "repeat_penalty", "", ""});
  rows.push_back({"stop_token_ids", "", kChat | kCompletion, Role::sampling, "stop_ids", "", ""});
}

void add_simple(std::vector<Parameter>& rows) {
  const auto add = [&rows](const char* name, const char* object, uint32_t endpoints,
                           const char* option) {
    rows.push_back({name, object, endpoints, Role::request, option, "", ""});
  };
  add("model", "", kOpenAi | kOllama | kPlain, "model");
  add("stream", "", kChat | kCompletion | kOllamaText | kGenerate, "stream");
  add("include_usage", "stream_options", kChat | kCompletion, "include_usage");
  add("n", "", kChat | kCompletion, "n");
  add("echo", "", kCompletion | kGenerate, "echo");
  add("logprobs", "", kChat | kOllamaText, "logprobs");
  add("top_logprobs", "", kChat | kOllamaText, "top_logprobs");
  add("system", "", kOllamaGenerate, "system");
  add("raw", "", kOllamaGenerate, "raw");
  add("encoding_format", "", kEmbeddings, "encoding_format");
  add("dimensions", "", kEmbeddings | kOllamaEmbed, "dimensions");
  add("priority", "", kChat | kCompletion | kGenerate, "priority");
  add("timeout", "", kOpenAi | kGenerate, "timeout");
  add("cache_prompt", "", kChat | kCompletion | kGenerate, "cache_prompt");
  add("add_special", "", kGenerate | kTokenize, "add_special");
  add("parse_special", "", kGenerate | kTokenize, "parse_special");
}

void add_structured(std::vector<Parameter>& rows) {
  const auto add = [&rows](const char* name, uint32_t endpoints, const char* type,
                           const char* help) {
    rows.push_back({name, "", endpoints, Role::structured, "", type, help});
  };
  add("messages", kChat | kOllamaChat, "a list of {role, content, …}",
      "The conversation. Content is a text or a list of text parts");
  add("tools", kChat | kOllamaChat, "a list of function declarations",
      "Passed to the model's chat template");
  add("tool_choice", kChat, "'auto' or 'none'", "'none' hides the tools from the template");
  add("response_format", kChat, "{\"type\": \"text\"}", "Other formats are refused");
  add("chat_template_kwargs", kChat, "an object", "Further variables of the chat template");
  add("stream_options", kChat | kCompletion, "an object", "Holds include_usage");
  add("prompt", kCompletion, "a text, a list of texts, token ids or lists of token ids",
      "What to continue");
  add("prompt", kGenerate, "a text or a list of token ids", "What to continue");
  add("prompt", kOllamaGenerate, "a text",
      "What to answer, through the chat template unless raw; empty: only load the model");
  add("input", kEmbeddings, "a text, a list of texts, token ids or lists of token ids",
      "What to embed");
  add("input", kOllamaEmbed, "a text or a list of texts", "What to embed");
  add("options", kOllamaText | kOllamaEmbed, "an object", "Holds the sampling options");
  add("keep_alive", kOllamaText | kOllamaEmbed, "seconds or a duration such as \"5m\"",
      "How long the model stays loaded; negative: for ever, 0: not at all");
  add("format", kOllamaText, "absent or empty", "Other formats are refused");
  add("template", kOllamaGenerate, "absent or empty", "The model's own chat template is used");
  add("suffix", kCompletion | kOllamaGenerate, "absent or empty", "Filling in is refused");
  add("images", kOllamaGenerate, "absent or empty", "Images are refused");
  add("best_of", kCompletion, "absent or equal to n", "Choosing the best is refused");
  add("content", kTokenize, "a text", "What to split into tokens");
  add("with_pieces", kTokenize, "true or false", "Give {id, piece} for every token");
  add("tokens", kDetokenize, "a list of token ids", "What to join to a text");
}

void add_accepted(std::vector<Parameter>& rows) {
  const auto add = [&rows](uint32_t endpoints, const char* object, const char* help,
                           std::initializer_list<const char*> names) {
    for (const char* name : names)
      rows.push_back({name, object, endpoints, Role::accepted, "", "", help});
  };
  add(kOpenAi, "", "Bookkeeping of hosted services",
      {"user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key",
       "prompt_cache_retention"});
  add(kChat, "", "Without meaning here",
      {"store", "parallel_tool_calls", "modalities", "reasoning_effort", "verbosity",
       "prediction"});
  add(kChat | kCompletion, "stream_options", "Without meaning here", {"include_obfuscation"});
  add(kOllamaText, "", "Without meaning here", {"think", "context", "shift", "truncate"});
  add(kOllamaEmbed, "", "Inputs are never cut; too long ones are refused", {"truncate"});
  add(kOllamaShow, "", "Without meaning here", {"verbose", "name"});
  add(kOllamaText | kOllamaEmbed, "options", "Set when the server starts (weir serve --help)",
      {"num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "numa", "use_mmap", "use_mlock",
       "low_vram", "f16_kv", "vocab_only", "num_keep", "penalize_newline", "tfs_z"});
}

}  // namespace

const OptionTable<RequestOptions>& request_options() {
  static const OptionTable<RequestOptions> kTable = [] {
    OptionTable<O> t;
    t.add({"model"}, &O::model, bytes_at_most(256), "Name of the model; empty is the first");
    t.add({"system"}, &O::system, {}, "The system message");
    t.add({"priority"}, &O::priority, bytes_at_most(16), "interactive, normal or batch");
    t.add({"encoding_format"}, &O::encoding_format, bytes_at_most(16), "float or base64");
    t.add({"stream"}, &O::stream, {}, "Send the answer piece by piece (Ollama: true unless said)");
    t.add({"include_usage"}, &O::include_usage, {}, "End the stream with the token counts");
    t.add({"echo"}, &O::echo, {}, "Begin the answer with the prompt");
    t.add({"raw"}, &O::raw, {}, "Continue the prompt; use no chat template");
    t.add({"logprobs"}, &O::logprobs, {}, "Report log-probabilities of the tokens taken");
    t.add({"cache_prompt"}, &O::cache_prompt, {}, "Read and fill the prefix cache");
    t.add({"add_special"}, &O::add_special, {}, "Add BOS and the like, as the model has it");
    t.add({"parse_special"}, &O::parse_special, {}, "Names of control tokens become those tokens");
    t.add({"n"}, &O::n, between(1, 16), "Answers to each prompt; answer i draws with seed + i");
    t.add({"top_logprobs"}, &O::top_logprobs, between(0, 20),
          "With logprobs: also report so many of the likeliest tokens");
    t.add({"dimensions"}, &O::dimensions, between(0, 1 << 20),
          "Length of the vectors; 0 or the model's own width");
    t.add({"timeout"}, &O::timeout, between(0, 86400),
          "Seconds until the request ends with 'timeout'; 0 is the server's limit");
    return t;
  }();
  return kTable;
}

std::span<const Parameter> parameters() {
  static const std::vector<Parameter> kRows = [] {
    std::vector<Parameter> rows;
    add_structured(rows);
    add_simple(rows);
    add_sampling(rows);
    add_accepted(rows);
    return rows;
  }();
  return kRows;
}

}  // namespace weir
