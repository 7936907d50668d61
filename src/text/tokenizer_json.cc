// The model part of tokenizer.json, the added tokens, and the names in tokenizer_config.json.
#include "text/tokenizer_json.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "text/json_fields.h"
#include "text/tokenizer_json_steps.h"

namespace weir {
namespace {

// Ids may have gaps, but not so many that a small file asks for a huge table.
constexpr size_t kMaxGaps = 1 << 16;

/// Collects the tokens by id; gaps become unused tokens.
class TokenTable {
 public:
  void put(std::string token, int32_t id, TokenType type) {
    const auto [known, created] = tokens_.try_emplace(id, std::move(token), type);
    if (!created) known->second.second = type;
    ids_.try_emplace(known->second.first, id);
  }
  std::optional<int32_t> find(const std::string& token) const {
    const auto hit = ids_.find(token);
    return hit == ids_.end() ? std::nullopt : std::optional(hit->second);
  }
  void set_type(int32_t id, TokenType type) {
    const auto hit = tokens_.find(id);
    if (hit != tokens_.end()) hit->second.second = type;
  }
  TokenType type(int32_t id) const { return tokens_.at(id).second; }
  void move_to(VocabularySpec& spec) {
    int32_t last = -1;
    for (const auto& [id, token] : tokens_) last = std::max(last, id);
    const auto size = static_cast<size_t>(last) + 1;
    if (size > tokens_.size() * 4 + kMaxGaps) {
      fail(Code::bad_format, "tokenizer.json has {} tokens but ids up to {}", tokens_.size(), last);
    }
    spec.tokens.resize(size);
    spec.types.assign(size, TokenType::unused);
    for (auto& [id, token] : tokens_) {
      spec.tokens[static_cast<size_t>(id)] = std::move(token.first);
      spec.types[static_cast<size_t>(id)] = token.second;
    }
    if (!spec.scores.empty()) spec.scores.resize(size, 0.F);
  }

 private:
  std::unordered_map<int32_t, std::pair<std::string, TokenType>> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
};

bool looks_like_byte(std::string_view token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

void read_vocabulary_map(const JsonFields& model, bool byte_fallback, TokenTable& tokens) {
  const Json& vocabulary = model.require("vocab");
  if (!vocabulary.is_object()) {
    fail(Code::bad_format, "model.vocab is {}, expected an object", vocabulary.type_name());
  }
  for (const auto& [token, id] : vocabulary.items()) {
    const bool byte = byte_fallback && looks_like_byte(token);
    tokens.put(token, json_integer(id, "an id of model.vocab"),
               byte ? TokenType::byte : TokenType::normal);
  }
}

std::string read_merge(const Json& merge, size_t rank) {
  if (merge.is_string()) return merge.get<std::string>();
  const bool pair =
      merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
  if (!pair) fail(Code::bad_format, "model.merges[{}] is neither a string nor two", rank);
  const auto left = merge[0].get<std::string>();
  const auto right = merge[1].get<std::string>();
  if (left.find(' ') != std::string::npos || right.find(' ') != std::string::npos) {
    fail(Code::unsupported, "model.merges[{}] merges tokens that contain a space", rank);
  }
  return left + " " + right;
}

void refuse_affix(const JsonFields& model, const char* key) {
  if (!model.string_or(key, "").empty()) {
    fail(Code::unsupported, "tokenizer.json has a BPE model with {}, which is not supported", key);
  }
}

void read_bpe(const JsonFields& model, VocabularySpec& spec, TokenTable& tokens) {
  spec.kind = TokenizerKind::bpe;
  refuse_affix(model, "continuing_subword_prefix");
  refuse_affix(model, "end_of_word_suffix");
  if (model.has("dropout") && model.require("dropout") != 0.0) {
    fail(Code::unsupported, "tokenizer.json has a BPE model with dropout, which is for training");
  }
  Pipeline& pipeline = *spec.pipeline;
  pipeline.byte_fallback = model.boolean_or("byte_fallback", false);
  pipeline.fuse_unknown = model.boolean_or("fuse_unk", false);
  pipeline.ignore_merges = model.boolean_or("ignore_merges", false);
  read_vocabulary_map(model, pipeline.byte_fallback, tokens);
  const Json& merges = model.array("merges");
  spec.merges.reserve(merges.size());
  for (const Json& merge : merges) spec.merges.push_back(read_merge(merge, spec.merges.size()));
}

void read_wordpiece(const JsonFields& model, VocabularySpec& spec, TokenTable& tokens) {
  spec.kind = TokenizerKind::wordpiece;
  read_vocabulary_map(model, false, tokens);
  spec.pipeline->continuation_prefix = model.string_or("continuing_subword_prefix", "##");
  if (spec.pipeline->continuation_prefix.empty()) {
    fail(Code::unsupported, "tokenizer.json has a WordPiece model without a continuation prefix");
  }
  if (model.has("max_input_chars_per_word")) {
    spec.pipeline->max_word_chars =
        static_cast<uint32_t>(model.integer("max_input_chars_per_word"));
  }
}

void read_unigram(const JsonFields& model, VocabularySpec& spec, TokenTable& tokens) {
  spec.kind = TokenizerKind::unigram;
  spec.pipeline->byte_fallback = model.boolean_or("byte_fallback", false);
  for (const Json& entry : model.array("vocab")) {
    const auto id = static_cast<int32_t>(spec.scores.size());
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      fail(Code::bad_format, "model.vocab[{}] is not a token and its score", id);
    }
    const bool byte =
        spec.pipeline->byte_fallback && looks_like_byte(entry[0].get_ref<const std::string&>());
    tokens.put(entry[0].get<std::string>(), id, byte ? TokenType::byte : TokenType::normal);
    spec.scores.push_back(entry[1].get<float>());
  }
  if (model.has("unk_id")) spec.unk = model.integer("unk_id");
}

void read_model(const JsonFields& model, VocabularySpec& spec, TokenTable& tokens) {
  std::string type = model.string_or("type", "");
  if (type.empty()) type = model.has("merges") ? "BPE" : model.has("unk_id") ? "Unigram" : "none";
  spec.name = type;
  if (type == "BPE") {
    read_bpe(model, spec, tokens);
  } else if (type == "WordPiece") {
    read_wordpiece(model, spec, tokens);
  } else if (type == "Unigram") {
    read_unigram(model, spec, tokens);
  } else {
    fail(Code::unsupported,
         "tokenizer.json has the model '{}', which is not supported; known are BPE, WordPiece, "
         "Unigram",
         type);
  }
  if (model.has("unk_token")) spec.unk = tokens.find(model.string("unk_token"));
}

void read_added_tokens(const JsonFields& file, VocabularySpec& spec, TokenTable& tokens) {
  if (!file.has("added_tokens")) return;
  for (const Json& item : file.array("added_tokens")) {
    const JsonFields token(item, "added_tokens");
    AddedToken added;
    added.id = token.integer("id");
    added.lstrip = token.boolean_or("lstrip", false);
    added.rstrip = token.boolean_or("rstrip", false);
    added.normalized = token.boolean_or("normalized", false);
    if (token.boolean_or("single_word", false)) {
      fail(Code::unsupported, "the added token '{}' is single_word, which is not supported",
           token.string("content"));
    }
    const bool special = token.boolean_or("special", false);
    tokens.put(token.string("content"), added.id,
               special ? TokenType::control : TokenType::user_defined);
    spec.added.push_back(added);
  }
}

/// Reads the special tokens that the configuration names ("bos_token": text or {"content": text}).
class ConfigNames {
 public:
  ConfigNames(const JsonFields& config, TokenTable& tokens) : config_(config), tokens_(tokens) {}

  /// BOS and EOS must exist; tokens that only training uses may be absent.
  void read(const char* key, bool must_exist, std::optional<int32_t>& id) {
    if (!config_.has(key)) return;
    const Json& value = config_.require(key);
    const std::string name = value.is_object()
                                 ? JsonFields(value, config_.path(key)).string("content")
                                 : json_string(value, config_.path(key));
    const auto found = tokens_.find(name);
    if (!found && must_exist) {
      fail(Code::bad_format, "{} is '{}', which is not in the vocabulary", config_.path(key), name);
    }
    if (!found) return;
    id = found;
    const TokenType type = tokens_.type(*found);
    if (type == TokenType::normal || type == TokenType::user_defined) {
      tokens_.set_type(*found, TokenType::control);
    }
  }

 private:
  const JsonFields& config_;
  TokenTable& tokens_;
};

void read_config(std::string_view text, VocabularySpec& spec, TokenTable& tokens) {
  if (text.empty()) return;
  const Json json = parse_json(text, "tokenizer_config.json");
  const JsonFields config(json, "tokenizer_config.json");
  ConfigNames names(config, tokens);
  names.read("bos_token", true, spec.bos);
  names.read("eos_token", true, spec.eos);
  names.read("unk_token", false, spec.unk);
  names.read("sep_token", false, spec.sep);
  names.read("pad_token", false, spec.pad);
  names.read("cls_token", false, spec.cls);
  names.read("mask_token", false, spec.mask);
  Pipeline& pipeline = *spec.pipeline;
  const bool templated = !pipeline.prefix_ids.empty() || !pipeline.suffix_ids.empty();
  if (templated) return;  // the post-processor has said it already
  if (config.boolean_or("add_bos_token", false) && spec.bos) pipeline.prefix_ids = {*spec.bos};
  if (config.boolean_or("add_eos_token", false) && spec.eos) pipeline.suffix_ids = {*spec.eos};
}

const Json& part(const Json& json, const char* key) {
  static const Json kNone;
  const auto field = json.find(key);
  return field == json.end() ? kNone : *field;
}

}  // namespace

VocabularySpec from_tokenizer_json(std::string_view tokenizer_json,
                                   std::string_view tokenizer_config_json) {
  const Json json = parse_json(tokenizer_json, "tokenizer.json");
  const JsonFields file(json, "tokenizer.json");
  VocabularySpec spec;
  spec.pipeline.emplace();
  TokenTable tokens;
  read_model(JsonFields(file.require("model"), "model"), spec, tokens);
  read_added_tokens(file, spec, tokens);
  read_normalizer(part(json, "normalizer"), *spec.pipeline);
  read_pre_tokenizer(part(json, "pre_tokenizer"), *spec.pipeline);
  read_post_processor(part(json, "post_processor"), *spec.pipeline);
  const DecodeStyle fallback = spec.pipeline->byte_level               ? DecodeStyle::bytes
                               : spec.kind == TokenizerKind::wordpiece ? DecodeStyle::wordpiece
                                                                       : DecodeStyle::spaced;
  read_decoder(part(json, "decoder"), fallback, *spec.pipeline);
  read_config(tokenizer_config_json, spec, tokens);
  if (spec.unk && !spec.pipeline->byte_level) tokens.set_type(*spec.unk, TokenType::unknown);
  tokens.move_to(spec);
  return spec;
}

}  // namespace weir
