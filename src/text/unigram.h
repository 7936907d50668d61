// Unigram: the segmentation of a text with the highest sum of scores (Viterbi). Linear in the text
// times the longest token; memory is bounded by the longest stretch that tokens chain over.
#pragma once

#include <vector>

#include "text/model.h"
#include "text/trie.h"

namespace weir {

class UnigramModel final : public TokenModel {
 public:
  /// `vocabulary` must outlive the model. Throws bad_format without scores or unknown token.
  UnigramModel(const Vocabulary& vocabulary, const VocabularySpec& spec, const Pipeline& pipeline);
  void encode(std::string_view word, EncodeScratch& scratch,
              std::vector<int32_t>& ids) const override;

 private:
  struct Step {
    float score;      // single precision as in SentencePiece, so that near ties fall the same way
    uint32_t length;  // bytes of the best token that ends here; 0 if none does
    int32_t id;
  };
  void emit(std::string_view stretch, const std::vector<Step>& best, size_t word_start,
            std::vector<int32_t>& ids) const;

  const Vocabulary& vocabulary_;
  UnknownPolicy unknown_;
  Trie pieces_;
  float unknown_score_ = 0;
};

}  // namespace weir
