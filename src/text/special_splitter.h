// Finds special and user-defined tokens in a text: leftmost, then longest. Linear: one walk down a
// trie from each position, and the length of such tokens is limited.
#pragma once

#include <functional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/trie.h"
#include "text/vocabulary_spec.h"

namespace weir {

class SpecialSplitter {
 public:
  struct Entry {
    std::string text;
    AddedToken rule;
    bool control = false;  // found only if special tokens are parsed
  };
  /// Throws limit_exceeded if a text is longer than 1 KiB.
  explicit SpecialSplitter(std::vector<Entry> entries);

  bool empty() const { return entries_.empty(); }

  /// Calls piece(text, -1) for plain text and piece(text, id) for a token, in order.
  template <typename Piece>
  void for_each(std::string_view text, bool parse_special, Piece&& piece) const {
    const Trie& trie = parse_special ? all_ : user_defined_;
    size_t done = 0;
    size_t at = 0;
    while (!trie.empty() && at < text.size()) {
      const Trie::Match match =
          trie.may_start(text[at]) ? trie.longest_prefix(text.substr(at)) : Trie::Match{};
      if (match.length == 0) {
        ++at;
        continue;
      }
      const AddedToken& rule = entries_[static_cast<size_t>(match.value)].rule;
      const size_t begin = rule.lstrip ? white_space_before(text, done, at) : at;
      if (begin > done) piece(text.substr(done, begin - done), -1);
      piece(text.substr(at, match.length), rule.id);
      at += match.length;
      if (rule.rstrip) at = white_space_after(text, at);
      done = at;
    }
    if (done < text.size()) piece(text.substr(done), -1);
  }

 private:
  static size_t white_space_before(std::string_view text, size_t from, size_t end);
  static size_t white_space_after(std::string_view text, size_t at);

  std::vector<Entry> entries_;
  Trie all_;
  Trie user_defined_;
};

}  // namespace weir
