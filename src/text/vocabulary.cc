// Checks and stores the tokens; everything here comes from a file and is believed only after a
// look.
#include "text/vocabulary.h"

#include <cmath>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "text/byte_alphabet.h"

namespace weir {
namespace {

// The index of a large vocabulary is larger than the caches: so many tokens ahead are asked for.
constexpr int32_t kExpected = 16;

void check_lengths(const VocabularySpec& spec) {
  const size_t count = spec.tokens.size();
  if (count == 0)
    fail(Code::bad_format, "the vocabulary of this {} tokenizer has no tokens",
         spec.name.empty() ? "model's" : spec.name);
  if (count > size_t{1} << 30) {
    fail(Code::limit_exceeded, "the vocabulary has {} tokens; at most 2^30 are supported", count);
  }
  if (!spec.types.empty() && spec.types.size() != count) {
    fail(Code::bad_format, "the vocabulary has {} tokens but {} token types", count,
         spec.types.size());
  }
  if (!spec.scores.empty() && spec.scores.size() != count) {
    fail(Code::bad_format, "the vocabulary has {} tokens but {} scores", count, spec.scores.size());
  }
  for (size_t i = 0; i < spec.scores.size(); ++i) {
    if (!std::isfinite(spec.scores[i])) {
      fail(Code::bad_format, "the score of token {} is {}, expected a finite number", i,
           spec.scores[i]);
    }
  }
}

void check_id(const char* what, std::optional<int32_t> id, size_t count) {
  if (id && (*id < 0 || static_cast<size_t>(*id) >= count)) {
    fail(Code::bad_format, "the {} token has id {}, but the vocabulary has ids 0 to {}", what, *id,
         count - 1);
  }
}

void check_ids(const VocabularySpec& spec) {
  const size_t count = spec.tokens.size();
  check_id("bos", spec.bos, count);
  check_id("eos", spec.eos, count);
  check_id("eot", spec.eot, count);
  check_id("eom", spec.eom, count);
  check_id("unknown", spec.unk, count);
  check_id("separator", spec.sep, count);
  check_id("padding", spec.pad, count);
  check_id("cls", spec.cls, count);
  check_id("mask", spec.mask, count);
  for (const AddedToken& added : spec.added) check_id("added", added.id, count);
  if (!spec.pipeline) return;
  for (const int32_t id : spec.pipeline->prefix_ids) check_id("prefix", id, count);
  for (const int32_t id : spec.pipeline->suffix_ids) check_id("suffix", id, count);
}

/// The byte of a token written "<0x41>".
std::optional<uint8_t> byte_of(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  uint32_t value = 0;
  for (const char c : text.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9';
    const bool upper = c >= 'A' && c <= 'F';
    const bool lower = c >= 'a' && c <= 'f';
    if (!digit && !upper && !lower) return std::nullopt;
    const int base = digit ? '0' : (upper ? 'A' - 10 : 'a' - 10);
    value = value * 16 + static_cast<uint32_t>(c - base);
  }
  return static_cast<uint8_t>(value);
}

}  // namespace

TokenType token_type_from(int64_t value) {
  if (value < 0 || value > 6) {
    fail(Code::bad_format, "token type {} is unknown; expected 0 to 6", value);
  }
  return static_cast<TokenType>(value);
}

Vocabulary::Vocabulary(const VocabularySpec& spec, bool byte_level) {
  check_lengths(spec);
  check_ids(spec);
  types_ = spec.types.empty() ? std::vector<TokenType>(spec.tokens.size(), TokenType::normal)
                              : spec.types;
  scores_ = spec.scores;
  if (spec.unk && types_[static_cast<size_t>(*spec.unk)] == TokenType::normal &&
      spec.kind != TokenizerKind::bpe) {
    types_[static_cast<size_t>(*spec.unk)] = TokenType::unknown;
  }
  store_tokens(spec, byte_level);
  index_tokens(byte_level);
}

void Vocabulary::store_tokens(const VocabularySpec& spec, bool byte_level) {
  size_t total = 0;
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    if (spec.tokens[i].size() > kMaxTokenBytes) {
      fail(Code::limit_exceeded, "token {} has {} bytes; at most {} are supported", i,
           spec.tokens[i].size(), kMaxTokenBytes);
    }
    total += spec.tokens[i].size();
  }
  if (total > std::numeric_limits<uint32_t>::max()) {
    fail(Code::limit_exceeded, "the tokens have {} bytes together; at most 4 GiB are supported",
         total);
  }
  arena_.reserve(total);
  offsets_.reserve(spec.tokens.size() + 1);
  offsets_.push_back(0);
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const bool mapped =
        byte_level && (types_[i] == TokenType::normal || types_[i] == TokenType::unused);
    if (mapped) {
      append_from_byte_alphabet(arena_, spec.tokens[i]);
    } else {
      arena_ += spec.tokens[i];
    }
    offsets_.push_back(static_cast<uint32_t>(arena_.size()));
  }
}

void Vocabulary::index_tokens(bool byte_level) {
  const auto bytes_of = [this](int32_t id) { return text(id); };
  std::vector<int32_t> user_defined;
  byte_tokens_.fill(-1);
  ordinary_.reserve(types_.size(), bytes_of);
  size_t specials = 0;
  for (int32_t id = 0; id < size(); ++id) {
    if (id + kExpected < size()) ordinary_.expect(text(id + kExpected));
    switch (type(id)) {
      case TokenType::control:
      case TokenType::unknown:
        ++specials;
        break;
      case TokenType::byte:
        if (const auto byte = byte_of(text(id)); byte && byte_tokens_[*byte] < 0) {
          byte_tokens_[*byte] = id;
        }
        break;
      case TokenType::user_defined:
        user_defined.push_back(id);
        break;
      default:
        if (!text(id).empty()) ordinary_.insert(id, bytes_of);
        longest_ordinary_ = std::max(longest_ordinary_, text(id).size());
    }
  }
  // After the normal ones: a literal token may have the bytes of a normal one, which merges mean.
  for (const int32_t id : user_defined) {
    if (!text(id).empty()) ordinary_.insert(id, bytes_of);
    longest_ordinary_ = std::max(longest_ordinary_, text(id).size());
  }
  special_.reserve(specials, bytes_of);
  for (int32_t id = 0; id < size(); ++id) {
    if (is_special(id)) special_.insert(id, bytes_of);
  }
  if (!byte_level) return;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    byte_tokens_[static_cast<size_t>(byte)] = find_ordinary(std::string_view(&c, 1));
  }
}

int32_t Vocabulary::find_any(std::string_view bytes) const {
  const int32_t special = special_.find(bytes, [this](int32_t id) { return text(id); });
  return special >= 0 ? special : find_ordinary(bytes);
}

std::optional<uint8_t> Vocabulary::byte_value(int32_t id) const {
  return type(id) == TokenType::byte ? byte_of(text(id)) : std::nullopt;
}

}  // namespace weir
