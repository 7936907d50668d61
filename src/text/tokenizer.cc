// Puts the parts together: special tokens, normaliser, pre-tokenizer, model, and the way back.
#include "text/tokenizer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pipeline.h"
#include "text/pretokenizer.h"
#include "text/special_splitter.h"
#include "text/spm.h"
#include "text/unigram.h"
#include "text/utf8.h"
#include "text/vocabulary.h"
#include "text/wordpiece.h"

namespace weir {
namespace {

constexpr size_t kMaxTextBytes = (size_t{1} << 31) - 1;  // positions are 32-bit

// Names of end-of-turn tokens in published chat models.
constexpr std::array<std::string_view, 13> kEndOfTurnNames = {
    "<|eot_id|>", "<|im_end|>",         "<|end|>",        "<end_of_turn>", "<|endoftext|>",
    "<|eom_id|>", "<|end_of_text|>",    "<EOT>",          "_<EOT>",        "<|return|>",
    "<|call|>",   "<end_of_utterance>", "<|end_of_turn|>"};

std::unique_ptr<const TokenModel> make_model(const Vocabulary& vocabulary,
                                             const VocabularySpec& spec, const Pipeline& pipeline) {
  switch (spec.kind) {
    case TokenizerKind::spm:
      return std::make_unique<SpmModel>(vocabulary, spec, pipeline);
    case TokenizerKind::bpe:
      return std::make_unique<BpeModel>(vocabulary, spec, pipeline);
    case TokenizerKind::wordpiece:
      return std::make_unique<WordPieceModel>(vocabulary, spec, pipeline);
    case TokenizerKind::unigram:
      return std::make_unique<UnigramModel>(vocabulary, spec, pipeline);
  }
  fail(Code::internal, "unknown tokenizer kind {}", static_cast<int>(spec.kind));
}

/// Special and user-defined tokens, those matched in the raw text or those in the normalised one.
std::vector<SpecialSplitter::Entry> special_entries(const VocabularySpec& spec,
                                                    const Vocabulary& vocabulary, bool normalized) {
  std::vector<AddedToken> rules(static_cast<size_t>(vocabulary.size()));
  for (const AddedToken& added : spec.added) rules[static_cast<size_t>(added.id)] = added;
  std::vector<SpecialSplitter::Entry> entries;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    AddedToken& rule = rules[static_cast<size_t>(id)];
    rule.id = id;
    const bool special = vocabulary.is_special(id);
    if (!special && vocabulary.type(id) != TokenType::user_defined) continue;
    if (rule.normalized != normalized || vocabulary.text(id).empty()) continue;
    entries.push_back({std::string(vocabulary.text(id)), rule, special});
  }
  return entries;
}

/// Texts that are looked for after normalisation are normalised too, but get no space in front.
std::vector<SpecialSplitter::Entry> normalized_entries(const VocabularySpec& spec,
                                                       const Vocabulary& vocabulary,
                                                       const Pipeline& pipeline) {
  auto entries = special_entries(spec, vocabulary, true);
  if (entries.empty()) return entries;
  auto steps = pipeline.normalizer;
  std::erase_if(steps, [](const auto& s) { return s.kind == NormalizerStep::Kind::prepend; });
  const Normalizer normalizer(steps);
  RegexScratch scratch;
  for (auto& entry : entries) entry.text = normalizer.apply(entry.text, scratch);
  return entries;
}

std::string with_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const bool space = text.starts_with(kMetaspace);
    out.push_back(space ? ' ' : text.front());
    text.remove_prefix(space ? kMetaspace.size() : 1);
  }
  return out;
}

}  // namespace

struct Tokenizer::Parts {
  Vocabulary vocabulary;
  SpecialSplitter raw_specials;
  SpecialSplitter normalized_specials;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::unique_ptr<const TokenModel> model;

  Parts(const VocabularySpec& spec, const Pipeline& pipeline)
      : vocabulary(spec, pipeline.byte_level),
        raw_specials(special_entries(spec, vocabulary, false)),
        normalized_specials(normalized_entries(spec, vocabulary, pipeline)),
        normalizer(pipeline.normalizer),
        pre_tokenizer(pipeline.pre_tokenizer),
        model(make_model(vocabulary, spec, pipeline)) {}

  void encode_text(std::string_view text, bool first, bool parse_special, EncodeScratch& scratch,
                   std::vector<int32_t>& ids) const {
    std::string changed;
    if (!normalizer.empty()) {
      changed = normalizer.apply(text, scratch.regex);
      text = changed;
    }
    const PreTokenizer::Sink encode_word = [&](std::string_view word) {
      model->encode(word, scratch, ids);
    };
    normalized_specials.for_each(text, parse_special, [&](std::string_view part, int32_t id) {
      if (id >= 0) {
        ids.push_back(id);
      } else {
        pre_tokenizer.for_each_word(part, first && part.data() == text.data(), scratch.regex,
                                    encode_word);
      }
    });
  }
};

std::shared_ptr<const Tokenizer> Tokenizer::create(const VocabularySpec& spec) {
  return std::shared_ptr<const Tokenizer>(new Tokenizer(spec));
}

Tokenizer::Tokenizer(const VocabularySpec& spec)
    : kind_(spec.kind),
      name_(spec.name),
      pre_(spec.pre),
      pipeline_(pipeline_for(spec)),
      bos_(spec.bos),
      eos_(spec.eos),
      eot_(spec.eot),
      unk_(spec.unk),
      sep_(spec.sep),
      pad_(spec.pad),
      cls_(spec.cls),
      mask_(spec.mask),
      parts_(std::make_unique<const Parts>(spec, pipeline_)) {
  find_end_tokens(spec);
}

Tokenizer::~Tokenizer() = default;

void Tokenizer::find_end_tokens(const VocabularySpec& spec) {
  for (const auto& id : {spec.eos, spec.eot, spec.eom}) {
    if (id) end_tokens_.push_back(*id);
  }
  for (const std::string_view end_name : kEndOfTurnNames) {
    const int32_t id = parts_->vocabulary.find_any(end_name);
    if (id >= 0 && type(id) != TokenType::normal) end_tokens_.push_back(id);
  }
  std::sort(end_tokens_.begin(), end_tokens_.end());
  // In the Harmony format of gpt-oss a turn has several messages: <|end|> ends a message,
  // <|return|> or <|call|> the turn.
  const Vocabulary& vocabulary = parts_->vocabulary;
  if (vocabulary.find_any("<|return|>") >= 0 && vocabulary.find_any("<|call|>") >= 0) {
    std::erase(end_tokens_, vocabulary.find_any("<|end|>"));
  }
}

void Tokenizer::check_id(int32_t id) const {
  if (id < 0 || id >= vocab_size()) {
    fail(Code::invalid_argument, "token id {} is outside the vocabulary (0 to {})", id,
         vocab_size() - 1);
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kMaxTextBytes) {
    fail(Code::limit_exceeded, "the text has {} bytes; at most {} can be encoded at once",
         text.size(), kMaxTextBytes);
  }
  std::vector<int32_t> ids;
  // At most about one id a byte; what is not written costs no memory, growing step by step does.
  ids.reserve(pipeline_.prefix_ids.size() + text.size() + pipeline_.suffix_ids.size());
  if (options.add_special) ids.assign(pipeline_.prefix_ids.begin(), pipeline_.prefix_ids.end());
  EncodeScratch scratch;
  parts_->raw_specials.for_each(text, options.parse_special,
                                [&](std::string_view part, int32_t id) {
                                  if (id >= 0) {
                                    ids.push_back(id);
                                  } else {
                                    parts_->encode_text(part, part.data() == text.data(),
                                                        options.parse_special, scratch, ids);
                                  }
                                });
  if (options.add_special) {
    ids.insert(ids.end(), pipeline_.suffix_ids.begin(), pipeline_.suffix_ids.end());
  }
  return ids;
}

std::string Tokenizer::piece(int32_t id) const {
  check_id(id);
  const Vocabulary& vocabulary = parts_->vocabulary;
  const std::string_view text = vocabulary.text(id);
  if (const auto byte = vocabulary.byte_value(id)) return std::string(1, static_cast<char>(*byte));
  if (vocabulary.is_special(id)) return std::string(text);
  if (pipeline_.decode == DecodeStyle::wordpiece) {
    const bool marked_starts = pipeline_.continuation_prefix.empty();
    const std::string_view mark = marked_starts ? kMetaspace : pipeline_.continuation_prefix;
    return std::string(text.starts_with(mark) ? text.substr(mark.size()) : text);
  }
  if (pipeline_.decode != DecodeStyle::metaspace) return std::string(text);
  return with_spaces(text);
}

void Tokenizer::append_bytes(int32_t id, const DecodeOptions& options, bool& anything_before,
                             std::string& out) const {
  check_id(id);
  const Vocabulary& vocabulary = parts_->vocabulary;
  if (options.skip_special && vocabulary.is_special(id)) return;
  std::string bytes = piece(id);
  const bool starts_text = !anything_before && options.text_start;
  anything_before = true;
  switch (pipeline_.decode) {
    case DecodeStyle::bytes:
    case DecodeStyle::metaspace:
      if (starts_text && pipeline_.strip_first_space && bytes.starts_with(' ')) bytes.erase(0, 1);
      break;
    case DecodeStyle::wordpiece: {
      const bool marked_starts = pipeline_.continuation_prefix.empty();
      const std::string_view mark = marked_starts ? kMetaspace : pipeline_.continuation_prefix;
      const bool continues = vocabulary.text(id).starts_with(mark) != marked_starts;
      const bool closes = bytes == "." || bytes == "," || bytes == "!" || bytes == "?";
      const bool joined = (continues && !vocabulary.is_special(id)) || closes;
      if (!starts_text && !joined) bytes.insert(0, " ");
      break;
    }
    case DecodeStyle::spaced:
      if (!starts_text) bytes.insert(0, " ");
      break;
  }
  out += bytes;
}

std::string Tokenizer::decode_bytes(std::span<const int32_t> ids, DecodeOptions options) const {
  std::string out;
  bool anything_before = false;
  for (const int32_t id : ids) append_bytes(id, options, anything_before, out);
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  Utf8Filter filter;
  std::string text = filter.push(decode_bytes(ids, options));
  return text += filter.finish();
}

int32_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }

TokenType Tokenizer::type(int32_t id) const {
  check_id(id);
  return parts_->vocabulary.type(id);
}

bool Tokenizer::is_end_of_generation(int32_t id) const {
  return std::binary_search(end_tokens_.begin(), end_tokens_.end(), id);
}

std::optional<int32_t> Tokenizer::find(std::string_view token) const {
  const int32_t id = parts_->vocabulary.find_any(token);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

std::string_view Tokenizer::kind_name() const {
  switch (kind_) {
    case TokenizerKind::spm:
      return "SentencePiece BPE";
    case TokenizerKind::bpe:
      return pipeline_.byte_level ? "byte-level BPE" : "BPE";
    case TokenizerKind::wordpiece:
      return "WordPiece";
    case TokenizerKind::unigram:
      return "Unigram";
  }
  return "unknown";
}

}  // namespace weir
