// SentencePiece's precompiled character map: a double-array trie of byte strings and the texts that
// replace them. Owns the reading of that blob; every index is checked, because it comes from a
// file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

class Charsmap {
 public:
  /// Throws bad_format if the blob's sizes do not agree with each other.
  explicit Charsmap(std::string_view blob);

  /// Replaces, from the left, the longest match at each place. Invalid UTF-8 is copied.
  std::string apply(std::string_view text) const;

 private:
  /// Longest key at the start of `text`: its length (0 if none) and its replacement.
  size_t match(std::string_view text, std::string_view& replacement) const;

  std::vector<uint32_t> units_;
  std::string texts_;  // replacements, each ended by a zero byte
};

}  // namespace weir
