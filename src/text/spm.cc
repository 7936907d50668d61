// Scores become ranks once, so that the merge loop compares integers only.
#include "text/spm.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "text/utf8.h"

namespace weir {

SpmModel::SpmModel(const Vocabulary& vocabulary, const VocabularySpec& spec,
                   const Pipeline& pipeline)
    : vocabulary_(vocabulary),
      unknown_(vocabulary, spec.unk, pipeline.byte_fallback, pipeline.fuse_unknown) {
  if (!vocabulary.has_scores()) {
    fail(Code::bad_format,
         "this SentencePiece vocabulary has no scores, which say what merges first");
  }
  std::vector<float> scores = spec.scores;
  std::sort(scores.begin(), scores.end(), std::greater<>());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
  ranks_.reserve(spec.scores.size());
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const auto place =
        std::lower_bound(scores.begin(), scores.end(), vocabulary.score(id), std::greater<>());
    ranks_.push_back(static_cast<uint32_t>(place - scores.begin()));
    const TokenType type = vocabulary.type(id);
    if (type != TokenType::byte && !vocabulary.is_special(id)) joins_.add(vocabulary.text(id));
  }
}

void SpmModel::encode(std::string_view word, EncodeScratch& scratch,
                      std::vector<int32_t>& ids) const {
  std::vector<Symbol>& symbols = scratch.merge.symbols;
  symbols.clear();
  if (word.size() > symbols.capacity()) symbols.reserve(word.size());
  const size_t word_start = ids.size();
  size_t chunk = 0;
  char32_t previous = 0;
  for (size_t at = 0; at < word.size();) {
    const CodePoint c = decode_utf8(word, at);
    if (at > chunk && !joins_.may_join(previous, c.value)) {
      finish_chunk(word.substr(chunk, at - chunk), word_start, scratch, ids);
      symbols.clear();
      chunk = at;
    }
    symbols.push_back({static_cast<uint32_t>(at - chunk),
                       vocabulary_.find_ordinary(word.substr(at, c.bytes)), 1, kNoMerge});
    previous = c.value;
    at += c.bytes;
  }
  finish_chunk(word.substr(chunk), word_start, scratch, ids);
}

void SpmModel::finish_chunk(std::string_view chunk, size_t word_start, EncodeScratch& scratch,
                            std::vector<int32_t>& ids) const {
  const std::vector<Symbol>& symbols = scratch.merge.symbols;
  const auto look_up = [&](size_t begin, size_t end) -> MergeResult {
    if (end - begin > vocabulary_.longest_ordinary()) return {};
    const int32_t id = vocabulary_.find_ordinary(chunk.substr(begin, end - begin));
    return id < 0 ? MergeResult{} : MergeResult{ranks_[static_cast<size_t>(id)], id};
  };
  merge_symbols(scratch.merge, static_cast<uint32_t>(chunk.size()),
                [&](const Symbol& left, const Symbol& right, uint32_t end) {
                  if (left.id < 0 || right.id < 0) return look_up(left.begin, end);
                  return scratch.merge.pairs.get(left.id, right.id,
                                                 [&] { return look_up(left.begin, end); });
                });
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i].id >= 0) {
      ids.push_back(symbols[i].id);
      continue;
    }
    const size_t end = i + 1 < symbols.size() ? symbols[i + 1].begin : chunk.size();
    unknown_.emit(chunk.substr(symbols[i].begin, end - symbols[i].begin), word_start, ids);
  }
}

}  // namespace weir
