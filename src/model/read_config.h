// The two ways to a DecoderConfig, and the part of weights that the configuration needs.
#pragma once

#include "formats/checkpoint.h"
#include "model/config.h"
#include "model/families.h"

namespace weir {

/// True if the checkpoint is described by config.json (a Hugging Face directory), not by GGUF keys.
bool is_hugging_face(const Checkpoint& checkpoint);

/// A checked configuration. Throws unsupported (unknown family, or a feature that Weir lacks) or
/// bad_format naming the key.
DecoderConfig read_config(const Checkpoint& checkpoint);

DecoderConfig config_from_gguf(const Checkpoint& checkpoint);
DecoderConfig config_from_hf(const Checkpoint& checkpoint);

/// The magnitude that the longrope paper gives for a stretch from `original` to `context` tokens
/// (Ding et al. 2024), and YaRN's for a factor (Peng et al. 2023).
double longrope_magnitude(int64_t context, int64_t original);
double yarn_magnitude(double factor);

}  // namespace weir
