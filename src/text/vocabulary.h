// The checked tokens of a tokenizer: their bytes, types, scores and special ids. Refuses ids
// outside the vocabulary, lists of different lengths, tokens above 64 KiB and scores that are not
// finite.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/token_index.h"
#include "text/vocabulary_spec.h"

namespace weir {

inline constexpr size_t kMaxTokenBytes = 64 * 1024;
inline constexpr std::string_view kMetaspace = "\xE2\x96\x81";  // U+2581, SentencePiece's space

class Vocabulary {
 public:
  /// `byte_level`: normal tokens are written in the byte alphabet. Throws bad_format.
  Vocabulary(const VocabularySpec& spec, bool byte_level);

  int32_t size() const { return static_cast<int32_t>(types_.size()); }
  /// The bytes by which the token is matched: raw bytes for byte-level BPE, else the text with
  /// U+2581 for space. `id` must be in range.
  std::string_view text(int32_t id) const {
    const auto i = static_cast<size_t>(id);
    return std::string_view(arena_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
  }
  TokenType type(int32_t id) const { return types_[static_cast<size_t>(id)]; }
  float score(int32_t id) const { return scores_.empty() ? 0.F : scores_[static_cast<size_t>(id)]; }
  bool has_scores() const { return !scores_.empty(); }
  size_t longest_ordinary() const { return longest_ordinary_; }

  /// Id of the token that text may become without special parsing (never control, unknown or byte
  /// tokens), or -1.
  int32_t find_ordinary(std::string_view bytes) const {
    return ordinary_.find(bytes, [this](int32_t id) { return text(id); });
  }
  /// Any token by its bytes, special ones first, or -1.
  int32_t find_any(std::string_view bytes) const;
  /// The token that stands for one byte, or -1.
  int32_t byte_token(uint8_t byte) const { return byte_tokens_[byte]; }
  /// The byte that a byte token stands for.
  std::optional<uint8_t> byte_value(int32_t id) const;
  bool is_special(int32_t id) const {
    return type(id) == TokenType::control || type(id) == TokenType::unknown;
  }

 private:
  void store_tokens(const VocabularySpec& spec, bool byte_level);
  void index_tokens(bool byte_level);

  std::string arena_;
  std::vector<uint32_t> offsets_;
  std::vector<TokenType> types_;
  std::vector<float> scores_;
  TokenIndex ordinary_;
  TokenIndex special_;
  std::array<int32_t, 256> byte_tokens_{};
  size_t longest_ordinary_ = 0;
};

}  // namespace weir
