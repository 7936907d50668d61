// One function a part; each has a table of the types it knows. Sequences nest at most 64 levels,
// which the parser of the document has checked.
#include "text/tokenizer_json_steps.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "text/base64.h"
#include "text/pretokenizer_table.h"
#include "text/vocabulary.h"

namespace weir {
namespace {

using Behavior = PreTokenizerStep::Behavior;

// What Rust's regex crate calls \w.
constexpr std::string_view kWords =
    R"([\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}]+|[^\s\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}]+)";
constexpr std::string_view kPunctuation = R"([!-/:-@\[-`{-~\p{P}])";

[[noreturn]] void unknown_type(std::string_view part, std::string_view type,
                               std::string_view known) {
  fail(Code::unsupported, "tokenizer.json has the {} '{}', which is not supported; known are {}",
       part, type, known);
}

/// Patterns are written for Oniguruma; the few things that PCRE2 would read differently are
/// refused.
std::string checked_pattern(const std::string& pattern, const std::string& path) {
  bool escaped = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const bool intersection = !escaped && c == '&' && pattern.compare(i, 2, "&&") == 0;
    const bool hex_class = escaped && (c == 'h' || c == 'H');
    if (intersection || hex_class) {
      fail(Code::unsupported, "the pattern at {} uses '{}', which is not supported", path,
           intersection ? "&&" : "\\h");
    }
    escaped = !escaped && c == '\\';
  }
  return linear_pattern(pattern);
}

struct Pattern {
  std::string text;
  bool is_regex = false;
};

Pattern read_pattern(const JsonFields& fields) {
  const Json& value = fields.require("pattern");
  if (value.is_string()) return {value.get<std::string>(), false};
  const JsonFields pattern(value, fields.path("pattern"));
  if (pattern.has("String")) return {pattern.string("String"), false};
  return {checked_pattern(pattern.string("Regex"), pattern.path("Regex")), true};
}

Behavior read_behavior(const JsonFields& fields, const char* fallback) {
  static constexpr std::array<std::pair<std::string_view, Behavior>, 5> kNames = {
      {{"Isolated", Behavior::isolated},
       {"Removed", Behavior::removed},
       {"MergedWithPrevious", Behavior::merged_with_previous},
       {"MergedWithNext", Behavior::merged_with_next},
       {"Contiguous", Behavior::contiguous}}};
  const std::string name = fields.string_or("behavior", fallback);
  for (const auto& [known, behavior] : kNames) {
    if (known == name) return behavior;
  }
  unknown_type("split behavior", name,
               "Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous");
}

void check_replacement(const JsonFields& fields) {
  const std::string replacement = fields.string_or("replacement", std::string(kMetaspace));
  if (replacement != kMetaspace) unknown_type("Metaspace replacement", replacement, kMetaspace);
}

PreTokenizerStep::Prepend read_prepend(const JsonFields& fields) {
  using Prepend = PreTokenizerStep::Prepend;
  if (!fields.has("prepend_scheme")) {
    return fields.boolean_or("add_prefix_space", true) ? Prepend::always : Prepend::never;
  }
  const std::string scheme = fields.string("prepend_scheme");
  if (scheme == "always") return Prepend::always;
  if (scheme == "first") return Prepend::first;
  if (scheme == "never") return Prepend::never;
  unknown_type("Metaspace prepend_scheme", scheme, "always, first, never");
}

void add_split(Pipeline& pipeline, std::string_view pattern, Behavior behavior,
               bool invert = false) {
  PreTokenizerStep step = isolated_split(pattern);
  step.behavior = behavior;
  step.invert = invert;
  pipeline.pre_tokenizer.push_back(std::move(step));
}

void add_byte_level(const JsonFields& fields, Pipeline& pipeline) {
  pipeline.byte_level = true;
  if (fields.boolean_or("add_prefix_space", true)) {
    PreTokenizerStep step;
    step.kind = PreTokenizerStep::Kind::prefix_space;
    pipeline.pre_tokenizer.push_back(step);
  }
  if (fields.boolean_or("use_regex", true)) {
    pipeline.pre_tokenizer.push_back(isolated_split(kGpt2Pattern));
  }
}

void add_metaspace(const JsonFields& fields, Pipeline& pipeline) {
  check_replacement(fields);
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::metaspace;
  step.prepend = read_prepend(fields);
  step.split = fields.boolean_or("split", true);
  pipeline.pre_tokenizer.push_back(std::move(step));
}

void add_pattern_split(const JsonFields& fields, Pipeline& pipeline) {
  Pattern pattern = read_pattern(fields);
  PreTokenizerStep step;
  step.literal = !pattern.is_regex;
  step.pattern = std::move(pattern.text);
  step.behavior = read_behavior(fields, "Isolated");
  step.invert = fields.boolean_or("invert", false);
  pipeline.pre_tokenizer.push_back(std::move(step));
}

NormalizerStep read_bert_normalizer(const JsonFields& fields) {
  NormalizerStep step;
  step.kind = NormalizerStep::Kind::bert;
  step.clean_text = fields.boolean_or("clean_text", true);
  step.separate_cjk = fields.boolean_or("handle_chinese_chars", true);
  step.lowercase = fields.boolean_or("lowercase", true);
  step.fold_accents = fields.boolean_or("strip_accents", step.lowercase);
  return step;
}

void read_normalizer_at(const Json& value, const std::string& path, Pipeline& pipeline) {
  using Kind = NormalizerStep::Kind;
  const JsonFields fields(value, path);
  const std::string type = fields.string("type");
  if (type == "Sequence") {
    for (const Json& item : fields.array("normalizers")) {
      read_normalizer_at(item, path + ".normalizers", pipeline);
    }
    return;
  }
  NormalizerStep step;
  static constexpr std::array<std::pair<std::string_view, Kind>, 6> kPlain = {
      {{"NFC", Kind::nfc},
       {"NFD", Kind::nfd},
       {"NFKC", Kind::nfkc},
       {"NFKD", Kind::nfkd},
       {"Lowercase", Kind::lowercase},
       {"StripAccents", Kind::strip_accents}}};
  for (const auto& [name, kind] : kPlain) {
    if (name != type) continue;
    step.kind = kind;
    pipeline.normalizer.push_back(step);
    return;
  }
  if (type == "Replace") {
    step.kind = Kind::replace;
    Pattern pattern = read_pattern(fields);
    step.pattern = std::move(pattern.text);
    step.is_regex = pattern.is_regex;
    step.content = fields.string("content");
  } else if (type == "Prepend") {
    step.kind = Kind::prepend;
    step.content = fields.string("prepend");
  } else if (type == "Strip") {
    step.kind = Kind::strip;
    step.left = fields.boolean_or("strip_left", true);
    step.right = fields.boolean_or("strip_right", true);
  } else if (type == "BertNormalizer") {
    step = read_bert_normalizer(fields);
  } else if (type == "Precompiled") {
    step.kind = Kind::charsmap;
    step.content = decode_base64(fields.string_or("precompiled_charsmap", ""));
    if (step.content.empty()) return;
  } else {
    unknown_type("normalizer", type,
                 "NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Replace, Prepend, Strip, "
                 "BertNormalizer, Precompiled, Sequence");
  }
  pipeline.normalizer.push_back(std::move(step));
}

void read_pre_tokenizer_at(const Json& value, const std::string& path, Pipeline& pipeline) {
  const JsonFields fields(value, path);
  const std::string type = fields.string("type");
  if (pipeline.byte_level) {
    fail(Code::unsupported,
         "tokenizer.json has the pre_tokenizer '{}' after ByteLevel; ByteLevel "
         "must come last",
         type);
  }
  if (type == "Sequence") {
    for (const Json& item : fields.array("pretokenizers")) {
      read_pre_tokenizer_at(item, path + ".pretokenizers", pipeline);
    }
  } else if (type == "ByteLevel") {
    add_byte_level(fields, pipeline);
  } else if (type == "Metaspace") {
    add_metaspace(fields, pipeline);
  } else if (type == "Split") {
    add_pattern_split(fields, pipeline);
  } else if (type == "Digits") {
    const bool individual = fields.boolean_or("individual_digits", false);
    add_split(pipeline, R"(\p{N})", individual ? Behavior::isolated : Behavior::contiguous);
  } else if (type == "Whitespace") {
    add_split(pipeline, kWords, Behavior::removed, true);
  } else if (type == "WhitespaceSplit") {
    add_split(pipeline, R"(\s+)", Behavior::removed);
  } else if (type == "BertPreTokenizer") {
    add_split(pipeline, R"(\s+)", Behavior::removed);
    add_split(pipeline, kPunctuation, Behavior::isolated);
  } else if (type == "Punctuation") {
    add_split(pipeline, kPunctuation, read_behavior(fields, "Isolated"));
  } else {
    unknown_type("pre_tokenizer", type,
                 "ByteLevel, Metaspace, Split, Digits, Whitespace, WhitespaceSplit, "
                 "BertPreTokenizer, Punctuation, Sequence");
  }
}

void read_template(const JsonFields& fields, Pipeline& pipeline) {
  const JsonFields specials(fields.require("special_tokens"), fields.path("special_tokens"));
  bool after_text = false;
  for (const Json& item : fields.array("single")) {
    const JsonFields entry(item, fields.path("single"));
    if (entry.has("Sequence")) {
      after_text = true;
      continue;
    }
    const JsonFields special(entry.require("SpecialToken"), entry.path("SpecialToken"));
    const std::string name = special.string("id");
    const JsonFields token(specials.require(name.c_str()), specials.path(name.c_str()));
    for (const Json& id : token.array("ids")) {
      auto& ids = after_text ? pipeline.suffix_ids : pipeline.prefix_ids;
      ids.push_back(json_integer(id, token.path("ids")));
    }
  }
}

int32_t named_id(const JsonFields& fields, const char* key) {
  const Json& pair = fields.array(key);
  if (pair.size() != 2) {
    fail(Code::bad_format, "{} has {} elements, expected a token and its id", fields.path(key),
         pair.size());
  }
  return json_integer(pair[1], fields.path(key));
}

void read_post_processor_at(const Json& value, const std::string& path, Pipeline& pipeline) {
  const JsonFields fields(value, path);
  const std::string type = fields.string("type");
  if (type == "Sequence") {
    for (const Json& item : fields.array("processors")) {
      read_post_processor_at(item, path + ".processors", pipeline);
    }
  } else if (type == "TemplateProcessing") {
    read_template(fields, pipeline);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    pipeline.prefix_ids.push_back(named_id(fields, "cls"));
    pipeline.suffix_ids.push_back(named_id(fields, "sep"));
  } else if (type != "ByteLevel") {  // which only moves offsets
    unknown_type("post_processor", type,
                 "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence");
  }
}

void read_strip_decoder(const JsonFields& fields, Pipeline& pipeline) {
  const bool spaces = fields.string("content") == " ";
  const int32_t start = fields.integer("start");
  if (!spaces || start > 1 || fields.integer("stop") != 0) {
    fail(Code::unsupported, "tokenizer.json has a Strip decoder other than one space at the start");
  }
  pipeline.strip_first_space = start == 1;
}

void read_decoder_at(const Json& value, const std::string& path, Pipeline& pipeline) {
  const JsonFields fields(value, path);
  const std::string type = fields.string("type");
  if (type == "Sequence") {
    for (const Json& item : fields.array("decoders")) {
      read_decoder_at(item, path + ".decoders", pipeline);
    }
  } else if (type == "ByteLevel") {
    pipeline.decode = DecodeStyle::bytes;
  } else if (type == "WordPiece") {
    pipeline.decode = DecodeStyle::wordpiece;
  } else if (type == "Metaspace") {
    check_replacement(fields);
    pipeline.decode = DecodeStyle::metaspace;
    pipeline.strip_first_space = read_prepend(fields) != PreTokenizerStep::Prepend::never;
  } else if (type == "Replace") {
    const Pattern pattern = read_pattern(fields);
    if (pattern.is_regex || pattern.text != kMetaspace || fields.string("content") != " ") {
      fail(Code::unsupported, "tokenizer.json has a Replace decoder other than U+2581 by a space");
    }
    pipeline.decode = DecodeStyle::metaspace;
  } else if (type == "Strip") {
    read_strip_decoder(fields, pipeline);
  } else if (type == "Fuse" || type == "ByteFallback") {
    if (pipeline.decode == DecodeStyle::spaced) pipeline.decode = DecodeStyle::bytes;
  } else {
    unknown_type("decoder", type,
                 "ByteLevel, WordPiece, Metaspace, Replace, Strip, Fuse, ByteFallback, Sequence");
  }
}

}  // namespace

void read_normalizer(const Json& value, Pipeline& pipeline) {
  if (!value.is_null()) read_normalizer_at(value, "normalizer", pipeline);
}

void read_pre_tokenizer(const Json& value, Pipeline& pipeline) {
  if (!value.is_null()) read_pre_tokenizer_at(value, "pre_tokenizer", pipeline);
}

void read_post_processor(const Json& value, Pipeline& pipeline) {
  if (!value.is_null()) read_post_processor_at(value, "post_processor", pipeline);
}

void read_decoder(const Json& value, DecodeStyle fallback, Pipeline& pipeline) {
  pipeline.decode = fallback;
  if (!value.is_null()) read_decoder_at(value, "decoder", pipeline);
}

}  // namespace weir
