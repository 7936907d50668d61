// SentencePiece BPE: neighbours are merged if their text is a token, the highest score first. Works
// on the whole normalised text, cut where no token reaches across.
#pragma once

#include <vector>

#include "text/model.h"

namespace weir {

class SpmModel final : public TokenModel {
 public:
  /// `vocabulary` must outlive the model. Throws bad_format without scores.
  SpmModel(const Vocabulary& vocabulary, const VocabularySpec& spec, const Pipeline& pipeline);
  void encode(std::string_view word, EncodeScratch& scratch,
              std::vector<int32_t>& ids) const override;

 private:
  const Vocabulary& vocabulary_;
  UnknownPolicy unknown_;
  JoinFilter joins_;
  std::vector<uint32_t> ranks_;  // by id: 0 for the highest score, equal for equal scores
};

}  // namespace weir
