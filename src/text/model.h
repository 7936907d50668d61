// What the four tokenizer models share: the interface, the scratch of one call, the treatment of
// characters that are no token, and the filter that cuts long texts where no token reaches across.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/symbol_merger.h"
#include "text/vocabulary.h"

namespace weir {

/// Memory of one call of Tokenizer::encode, so that the tokenizer itself stays immutable.
struct EncodeScratch {
  RegexScratch regex;
  MergeScratch merge;
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the ids of one word (one piece of the pre-tokenizer).
  virtual void encode(std::string_view word, EncodeScratch& scratch,
                      std::vector<int32_t>& ids) const = 0;
};

/// Emits what stands for bytes that are no token: byte tokens if the vocabulary has them, else the
/// unknown token (once for a run, if `fuse`), else an error that names the byte.
class UnknownPolicy {
 public:
  UnknownPolicy(const Vocabulary& vocabulary, std::optional<int32_t> unknown, bool byte_fallback,
                bool fuse)
      : vocabulary_(vocabulary), unknown_(unknown), byte_fallback_(byte_fallback), fuse_(fuse) {}
  /// `word_start`: size of ids when the word began, so that unknowns fuse within a word only.
  void emit(std::string_view bytes, size_t word_start, std::vector<int32_t>& ids) const;

 private:
  const Vocabulary& vocabulary_;
  std::optional<int32_t> unknown_;
  bool byte_fallback_;
  bool fuse_;
};

/// Remembers which pairs of neighbouring characters occur inside tokens (a Bloom filter with one
/// hash: it may say yes wrongly, never no). Between two characters that no token joins, a text can
/// be cut without changing any merge.
class JoinFilter {
 public:
  JoinFilter() : bits_(kBits / 64) {}
  void add(std::string_view token);
  /// The same for texts that are merged from bytes.
  void add_bytes(std::string_view token);
  bool may_join(char32_t left, char32_t right) const {
    const uint32_t bit = slot(left, right);
    return ((bits_[bit / 64] >> (bit % 64)) & 1) != 0;
  }

 private:
  void set(char32_t left, char32_t right) {
    const uint32_t bit = slot(left, right);
    bits_[bit / 64] |= uint64_t{1} << (bit % 64);
  }
  static constexpr uint32_t kBits = 1U << 20;
  static uint32_t slot(char32_t left, char32_t right) {
    const uint64_t key = (uint64_t{left} << 32 | right) * 0x9E3779B97F4A7C15U;
    return static_cast<uint32_t>(key >> 44);
  }
  std::vector<uint64_t> bits_;
};

}  // namespace weir
