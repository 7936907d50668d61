// The tokenizer and chat template of a checkpoint: from tokenizer.ggml.* keys, or from the texts
// beside safetensors. Checks nothing that Tokenizer::create checks.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/json_guard.h"
#include "formats/limits.h"
#include "formats/quote.h"
#include "model/model.h"
#include "model/read_config.h"
#include "text/tokenizer_json.h"
#include "text/vocabulary_spec.h"

namespace weir {
namespace {

std::optional<int32_t> token_id(const Metadata& metadata, std::string_view name) {
  // Written as u32, where -1 may stand for "none" as 2^32 - 1 or as a signed number.
  const std::string key = "tokenizer.ggml." + std::string(name) + "_token_id";
  const auto id = metadata.get<int64_t>(key);
  if (!id || *id == -1 || *id == int64_t{UINT32_MAX}) return std::nullopt;
  if (*id < 0 || *id > INT32_MAX)
    fail(Code::bad_format, "metadata key {} is {}, no token id", quote(key), *id);
  return static_cast<int32_t>(*id);
}

TokenizerKind kind_named(const std::string& model) {
  if (model == "llama") return TokenizerKind::spm;
  if (model == "gpt2") return TokenizerKind::bpe;
  if (model == "bert") return TokenizerKind::wordpiece;
  if (model == "t5") return TokenizerKind::unigram;
  fail(Code::unsupported,
       "tokenizer.ggml.model is {}; Weir knows llama (SentencePiece), gpt2 (byte-level BPE), bert "
       "(WordPiece), t5 (Unigram)",
       quote(model));
}

std::string charsmap_of(const Metadata& metadata) {
  const auto bytes =
      metadata.get_or<std::vector<uint8_t>>("tokenizer.ggml.precompiled_charsmap", {});
  return {bytes.begin(), bytes.end()};
}

/// GGUF does not say which white space an added token swallows. The tokenizer.json of Phi-3 does:
/// "<|user|>\nHi" is two tokens there, and the model was trained so. Phi-4, of the same
/// architecture, has a byte-level vocabulary.
std::vector<AddedToken> added_rules(const Metadata& metadata, const VocabularySpec& spec) {
  if (metadata.get_or<std::string>("general.architecture", "") != "phi3") return {};
  if (spec.kind != TokenizerKind::spm || spec.types.size() != spec.tokens.size()) return {};
  std::vector<AddedToken> rules;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const bool added = spec.types[id] == TokenType::control ||
                       spec.types[id] == TokenType::user_defined || spec.tokens[id] == "</s>";
    if (!added || spec.tokens[id] == "<s>" || spec.tokens[id] == "<|endoftext|>") continue;
    rules.push_back({.id = static_cast<int32_t>(id), .rstrip = true});
  }
  return rules;
}

VocabularySpec spec_of(const Metadata& metadata, const std::string& model) {
  const auto text = [](std::string_view name) { return "tokenizer.ggml." + std::string(name); };
  VocabularySpec spec;
  spec.kind = kind_named(model);
  spec.name = model;
  spec.pre = metadata.get_or<std::string>(text("pre"), "");
  spec.tokens = metadata.require<std::vector<std::string>>(text("tokens"));
  spec.scores = metadata.get_or<std::vector<float>>(text("scores"), {});
  for (const int64_t type : metadata.get_or<std::vector<int64_t>>(text("token_type"), {}))
    spec.types.push_back(token_type_from(type));
  spec.merges = metadata.get_or<std::vector<std::string>>(text("merges"), {});
  spec.bos = token_id(metadata, "bos");
  spec.eos = token_id(metadata, "eos");
  spec.eot = token_id(metadata, "eot");
  spec.eom = token_id(metadata, "eom");
  spec.unk = token_id(metadata, "unknown");
  spec.sep = token_id(metadata, "seperator");  // the format's spelling
  if (!spec.sep) spec.sep = token_id(metadata, "separator");
  spec.pad = token_id(metadata, "padding");
  spec.cls = token_id(metadata, "cls");
  spec.mask = token_id(metadata, "mask");
  spec.add_bos = metadata.get<bool>(text("add_bos_token"));
  spec.add_eos = metadata.get<bool>(text("add_eos_token"));
  spec.add_space_prefix = metadata.get<bool>(text("add_space_prefix"));
  spec.remove_extra_whitespaces = metadata.get_or<bool>(text("remove_extra_whitespaces"), false);
  spec.precompiled_charsmap = charsmap_of(metadata);
  spec.added = added_rules(metadata, spec);
  return spec;
}

std::string text_of(const Checkpoint& checkpoint, const char* document) {
  const std::string* text = checkpoint.document(document);
  return text != nullptr ? *text : std::string();
}

/// chat_template of tokenizer_config.json: a text, or a list of named ones with a "default".
std::string template_in(const std::string& config) {
  const auto document = nlohmann::json::parse(config, nullptr, false);
  if (!document.is_object()) return "";
  const auto found = document.find("chat_template");
  if (found == document.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return "";
  for (const auto& entry : *found)
    if (entry.is_object() && entry.value("name", nlohmann::json()) == "default" &&
        entry.value("template", nlohmann::json()).is_string())
      return entry["template"].get<std::string>();
  return "";
}

}  // namespace

std::shared_ptr<const Tokenizer> read_tokenizer(const Checkpoint& checkpoint) {
  if (is_hugging_face(checkpoint)) {
    const std::string* json = checkpoint.document("tokenizer.json");
    if (json == nullptr) return nullptr;
    return Tokenizer::create(
        from_tokenizer_json(*json, text_of(checkpoint, "tokenizer_config.json")));
  }
  const Metadata& metadata = checkpoint.metadata();
  const auto model = metadata.get_or<std::string>("tokenizer.ggml.model", "no_vocab");
  if (model == "no_vocab" || model == "none") return nullptr;
  return Tokenizer::create(spec_of(metadata, model));
}

std::string read_chat_template(const Checkpoint& checkpoint) {
  if (!is_hugging_face(checkpoint))
    return checkpoint.metadata().get_or<std::string>("tokenizer.chat_template", "");
  std::string own_file = text_of(checkpoint, "chat_template.jinja");
  if (!own_file.empty()) return own_file;
  const std::string config = text_of(checkpoint, "tokenizer_config.json");
  if (config.empty()) return "";
  guard_json(config, 64, limits::kJsonTokenBytes, "tokenizer_config.json", 0);
  return template_in(config);
}

}  // namespace weir
