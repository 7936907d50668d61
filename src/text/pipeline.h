// What a vocabulary without tokenizer.json implies: the steps between text and ids that follow from
// its kind and its named pre-tokenizer.
#pragma once

#include "text/vocabulary_spec.h"

namespace weir {

/// `spec.pipeline` if there is one. Throws unsupported (an unknown pre-tokenizer) or bad_format (a
/// BOS or EOS is asked for that the vocabulary does not have).
Pipeline pipeline_for(const VocabularySpec& spec);

/// SentencePiece's normaliser: map, collapse spaces, put one in front, write U+2581 for each.
std::vector<NormalizerStep> sentencepiece_normalizer(const VocabularySpec& spec);

}  // namespace weir
