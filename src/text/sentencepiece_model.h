// Reads SentencePiece's .model files (a protobuf message). Owns the little of the protobuf wire
// format that this takes; every length is checked against what is left.
#pragma once

#include <cstddef>
#include <span>

#include "text/vocabulary_spec.h"

namespace weir {

/// BPE and Unigram models. The file does not say whether a model wants BOS or EOS: none is added
/// until the caller sets add_bos or add_eos. Throws bad_format with the offset, or unsupported
/// (word and character models, white space as suffix).
VocabularySpec from_sentencepiece_model(std::span<const std::byte> bytes);

}  // namespace weir
