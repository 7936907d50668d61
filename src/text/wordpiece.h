// WordPiece: each word is taken apart from the left, longest token first; a word that cannot be, or
// that is longer than the limit, is one unknown token.
#pragma once

#include <vector>

#include "text/model.h"
#include "text/trie.h"

namespace weir {

class WordPieceModel final : public TokenModel {
 public:
  /// `vocabulary` must outlive the model. Throws bad_format without an unknown token.
  WordPieceModel(const Vocabulary& vocabulary, const VocabularySpec& spec,
                 const Pipeline& pipeline);
  void encode(std::string_view word, EncodeScratch& scratch,
              std::vector<int32_t>& ids) const override;

 private:
  Trie starts_;         // tokens that begin a word
  Trie continuations_;  // tokens that continue one, without their mark
  int32_t unknown_;
  uint32_t max_word_chars_;
};

/// True if the tokens mark word starts with U+2581 (as GGUF files do) and not continuations with
/// "##".
bool marks_word_starts(const std::vector<std::string>& tokens);

}  // namespace weir
