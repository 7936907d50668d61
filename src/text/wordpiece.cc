// Two tries, so that each step is one walk.
#include "text/wordpiece.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace weir {

bool marks_word_starts(const std::vector<std::string>& tokens) {
  const auto starting_with = [&](std::string_view mark) {
    return std::count_if(tokens.begin(), tokens.end(),
                         [&](const std::string& token) { return token.starts_with(mark); });
  };
  return starting_with(kMetaspace) > starting_with("##");
}

WordPieceModel::WordPieceModel(const Vocabulary& vocabulary, const VocabularySpec& spec,
                               const Pipeline& pipeline)
    : unknown_(spec.unk.value_or(-1)), max_word_chars_(pipeline.max_word_chars) {
  if (!spec.unk) fail(Code::bad_format, "this WordPiece vocabulary names no unknown token");
  const bool marked_starts = pipeline.continuation_prefix.empty();
  const std::string_view mark = marked_starts ? kMetaspace : pipeline.continuation_prefix;
  std::vector<std::pair<std::string_view, int32_t>> starts;
  std::vector<std::pair<std::string_view, int32_t>> continuations;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.is_special(id)) continue;
    const std::string_view text = vocabulary.text(id);
    const bool marked = text.starts_with(mark);
    auto& list = marked == marked_starts ? starts : continuations;
    list.emplace_back(marked ? text.substr(mark.size()) : text, id);
  }
  starts_ = Trie(std::move(starts));
  continuations_ = Trie(std::move(continuations));
}

void WordPieceModel::encode(std::string_view word, EncodeScratch&,
                            std::vector<int32_t>& ids) const {
  size_t chars = 0;
  for (size_t at = 0; at < word.size() && chars <= max_word_chars_; ++chars) {
    at += decode_utf8(word, at).bytes;
  }
  const size_t start = ids.size();
  bool known = chars <= max_word_chars_;
  for (size_t at = 0; known && at < word.size();) {
    const Trie& trie = at == 0 ? starts_ : continuations_;
    const Trie::Match match = trie.longest_prefix(word.substr(at));
    known = match.length > 0;
    if (known) ids.push_back(match.value);
    at += match.length;
  }
  if (known) return;
  ids.resize(start);
  ids.push_back(unknown_);
}

}  // namespace weir
