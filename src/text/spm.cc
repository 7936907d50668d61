// Scores become ranks once, so that the merge loop compares integers only.
#include "text/spm.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "text/chunks.h"

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
  const auto id_of = [&](std::string_view atom) { return vocabulary_.find_ordinary(atom); };
  const auto look_up = [&](std::string_view text) -> MergeResult {
    if (text.size() > vocabulary_.longest_ordinary()) return {};
    const int32_t id = vocabulary_.find_ordinary(text);
    return id < 0 ? MergeResult{} : MergeResult{ranks_[static_cast<size_t>(id)], id};
  };
  const size_t word_start = ids.size();
  for_each_chunk(word, false, joins_, scratch.merge, id_of, [&](std::string_view chunk) {
    const auto& begins = scratch.merge.begins;
    merge_symbols(scratch.merge, [&](int32_t left, int32_t right, size_t first, size_t end) {
      const std::string_view text = chunk.substr(begins[first], begins[end] - begins[first]);
      if (left < 0 || right < 0) return look_up(text);
      return scratch.merge.pairs.get(left, right, [&] { return look_up(text); });
    });
    append_symbols(chunk, scratch.merge, unknown_, word_start, ids);
  });
}

}  // namespace weir
