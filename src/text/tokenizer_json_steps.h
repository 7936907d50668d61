// The pipeline parts of tokenizer.json: normalizer, pre_tokenizer, post_processor, decoder.
#pragma once

#include "text/json_fields.h"
#include "text/vocabulary_spec.h"

namespace weir {

/// Each reads one top-level value (null means none) into the pipeline. Throw bad_format, or
/// unsupported with the name of a type that is not known.
void read_normalizer(const Json& value, Pipeline& pipeline);
void read_pre_tokenizer(const Json& value, Pipeline& pipeline);
void read_post_processor(const Json& value, Pipeline& pipeline);
/// `fallback`: how to decode if the file does not say.
void read_decoder(const Json& value, DecodeStyle fallback, Pipeline& pipeline);

}  // namespace weir
