// weir info: what a model file holds, what Weir can do with it, the memory it will need.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "engine/native_limits.h"
#include "formats/open.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace weir::cli {
namespace {

struct Options {
  std::string model, kv_type = "f16";
  int64_t context = 0;
  bool json = false;
};

/// Why the chat template cannot be used; empty if it can.
std::string template_problem(const Model& model) {
  try {
    ChatTemplate::parse(model.chat_template());
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

/// What Weir can do with the model, in words.
std::vector<std::string> abilities(const Model& model) {
  std::vector<std::string> can = {"run token ids"};
  if (model.tokenizer() != nullptr) can.emplace_back("continue text");
  if (model.tokenizer() != nullptr && !model.chat_template().empty() &&
      template_problem(model).empty())
    can.emplace_back("chat");
  can.emplace_back("measure speed");
  return can;
}

nlohmann::ordered_json json_of(const Model& m, const MemoryEstimate& memory, int64_t context,
                               const std::string& kv_type) {
  const DecoderConfig& c = m.config();
  const ModelSummary& s = m.summary();
  nlohmann::ordered_json json;
  json["name"] = s.name;
  json["path"] = m.path().string();
  json["format"] = s.format;
  json["architecture"] = c.family;
  json["parameters"] = s.parameters;
  json["file_bytes"] = s.file_bytes;
  json["types"] = nlohmann::ordered_json::array();
  for (const TypeShare& t : s.types)
    json["types"].push_back(
        {{"type", info(t.type).name}, {"tensors", t.tensors}, {"bytes", t.bytes}});
  json["context_length"] = c.context;
  json["layers"] = c.layers;
  json["width"] = c.width;
  json["feed_forward"] = c.hidden;
  json["heads"] = c.heads;
  json["kv_heads"] = c.kv_heads;
  json["head_dim"] = c.key_dim;
  json["vocabulary"] = c.vocabulary;
  json["experts"] = {{"count", c.moe.experts}, {"used", c.moe.used}};
  json["sliding_window"] = c.window;
  if (const auto& t = m.tokenizer()) {
    json["tokenizer"] = {{"kind", t->kind_name()}, {"pre", t->pre()}, {"tokens", t->vocab_size()}};
  } else {
    json["tokenizer"] = nullptr;
  }
  json["chat_template"] = !m.chat_template().empty();
  json["abilities"] = abilities(m);
  json["unused_tensors"] = s.unused;
  json["memory"] = {{"context", context},
                    {"kv_type", kv_type},
                    {"weights", memory.weights},
                    {"kv_cache", memory.kv_cache},
                    {"workspace", memory.workspace},
                    {"total", memory.total()}};
  return json;
}

std::string text_of(const Model& m, const MemoryEstimate& memory, int64_t context,
                    const std::string& kv_type) {
  const DecoderConfig& c = m.config();
  const ModelSummary& s = m.summary();
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{:<14}{}\n", name, value);
  };
  const auto bytes = [](int64_t value) { return human_bytes(static_cast<double>(value)); };
  line("name", s.name);
  line("format", fmt::format("{}, {}", s.format, bytes(s.file_bytes)));
  line("architecture",
       fmt::format("{}: {} layers, width {}, feed-forward {}, {} heads ({} for keys), head size {}",
                   c.family, c.layers, c.width, c.hidden, c.heads, c.kv_heads, c.key_dim));
  if (c.moe.experts > 0)
    line("experts", fmt::format("{}, {} used for a token", c.moe.experts, c.moe.used));
  if (c.window > 0) line("window", fmt::format("{} tokens", c.window));
  line("parameters", fmt::format("{:.3g} million", static_cast<double>(s.parameters) / 1e6));
  line("context", fmt::format("{} tokens", c.context));
  const auto& t = m.tokenizer();
  line("tokenizer",
       t == nullptr ? "none: token ids only"
                    : fmt::format("{} {}, {} tokens", t->kind_name(), t->pre(), t->vocab_size()));
  const std::string problem = m.chat_template().empty() ? "" : template_problem(m);
  line("chat template", m.chat_template().empty() ? "none"
                        : problem.empty()         ? "yes"
                                                  : "not usable: " + problem);
  for (size_t i = 0; i < s.types.size(); ++i) {
    const TypeShare& share = s.types[i];
    line(i == 0 ? "tensors" : "", fmt::format("{:<7} {:>5} tensors {:>10}", info(share.type).name,
                                              share.tensors, bytes(share.bytes)));
  }
  if (!s.unused.empty()) line("not used", fmt::format("{}", fmt::join(s.unused, ", ")));
  line("Weir can", fmt::format("{}", fmt::join(abilities(m), ", ")));
  line("memory", fmt::format("{} at {} tokens of context: weights {}, KV cache {} ({}), working {}",
                             bytes(memory.total()), context, bytes(memory.weights),
                             bytes(memory.kv_cache), kv_type, bytes(memory.workspace)));
  return text;
}

int run(const Options& o) {
  const auto model = open_model(o.model);
  const int64_t context =
      o.context > 0 ? o.context : std::min<int64_t>(model->config().context, 4096);
  const auto type = dtype_by_name(o.kv_type);
  WEIR_CHECK(type.has_value());
  const MemoryEstimate memory = model->memory(context, *type, 256);
  const std::string text =
      o.json ? json_of(*model, memory, context, o.kv_type)
                       .dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
                   "\n"
             : text_of(*model, memory, context, o.kv_type);
  std::fputs(text.c_str(), stdout);
  return kSuccess;
}

}  // namespace

void add_info(Commands& commands) {
  auto o = std::make_shared<Options>();
  CLI::App* c = commands.add("info", "Show what a model file holds and the memory it needs",
                             [o] { return run(*o); });
  c->add_option("MODEL", o->model, "GGUF file or Hugging Face folder [the embedded model]");
  c->add_option("-c,--context", o->context, "Context for the memory estimate [at most 4096]")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  c->add_option("--kv-type", o->kv_type, "Type of the KV cache")
      ->check(CLI::IsMember(kv_type_names()))
      ->capture_default_str();
  c->add_flag("--json", o->json, "Print JSON");
}

}  // namespace weir::cli
