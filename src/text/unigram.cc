// Kudo 2018, with SentencePiece's constants: an unknown character scores 10 below the worst token.
#include "text/unigram.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/utf8.h"

namespace weir {
namespace {

constexpr float kUnknownPenalty = 10.0F;
constexpr float kUserDefinedScore = -0.1F;  // better than any token's
// Scores are summed in single precision from the start of the text, as SentencePiece does, but not
// so far that the sum is too coarse to tell two segmentations apart.
constexpr float kCoarsest = -65536.0F;

}  // namespace

UnigramModel::UnigramModel(const Vocabulary& vocabulary, const VocabularySpec& spec,
                           const Pipeline& pipeline)
    : vocabulary_(vocabulary),
      unknown_(vocabulary, spec.unk, pipeline.byte_fallback, pipeline.fuse_unknown) {
  if (!vocabulary.has_scores()) fail(Code::bad_format, "this Unigram vocabulary has no scores");
  if (!spec.unk) fail(Code::bad_format, "this Unigram vocabulary names no unknown token");
  float worst = std::numeric_limits<float>::max();
  std::vector<std::pair<std::string_view, int32_t>> keys;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const TokenType type = vocabulary.type(id);
    if (type == TokenType::normal) worst = std::min(worst, vocabulary.score(id));
    if (type == TokenType::normal || type == TokenType::user_defined) {
      keys.emplace_back(vocabulary.text(id), id);
    }
  }
  pieces_ = Trie(std::move(keys));
  unknown_score_ = worst - kUnknownPenalty;
}

void UnigramModel::encode(std::string_view word, EncodeScratch&, std::vector<int32_t>& ids) const {
  const size_t word_start = ids.size();
  std::vector<Step> best{{0.F, 0, -1}};  // best[i]: the best way to reach byte `base + i`
  size_t base = 0;                       // no token crosses this byte
  for (size_t at = 0; at < word.size();) {
    if (at > base && at - base + 1 == best.size()) {  // nothing reaches beyond: cut here
      emit(word.substr(base, at - base), best, word_start, ids);
      const float sum = best.back().score;
      base = at;
      best.assign(1, {sum < kCoarsest ? 0.F : sum, 0, -1});
    }
    const CodePoint c = decode_utf8(word, at);
    const float here = best[at - base].score;
    bool has_single = false;
    const auto reach = [&](size_t length, int32_t id, float score) {
      const size_t end = at - base + length;
      if (end >= best.size()) best.resize(end + 1, {0.F, 0, -1});
      Step& step = best[end];
      if (step.length == 0 || here + score > step.score) {
        step = {here + score, static_cast<uint32_t>(length), id};
      }
    };
    pieces_.for_each_prefix(word.substr(at), [&](size_t length, int32_t id) {
      const float score = vocabulary_.type(id) == TokenType::user_defined ? kUserDefinedScore
                                                                          : vocabulary_.score(id);
      reach(length, id, score);
      has_single = has_single || length == c.bytes;
    });
    if (!has_single) reach(c.bytes, -1, unknown_score_);
    at += c.bytes;
  }
  emit(word.substr(base), best, word_start, ids);
}

void UnigramModel::emit(std::string_view stretch, const std::vector<Step>& best, size_t word_start,
                        std::vector<int32_t>& ids) const {
  std::vector<size_t> ends;  // of the tokens on the best path, last first
  for (size_t end = stretch.size(); end > 0; end -= best[end].length) ends.push_back(end);
  std::reverse(ends.begin(), ends.end());
  for (const size_t end : ends) {
    const Step& step = best[end];
    if (step.id >= 0) {
      ids.push_back(step.id);
    } else {
      unknown_.emit(stretch.substr(end - step.length, step.length), word_start, ids);
    }
  }
}

}  // namespace weir
