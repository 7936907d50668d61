// Opens whatever a person names as a model: a GGUF file, a safetensors file, a Hugging Face
// directory. Decides by content, never by file extension alone; what it refuses, it names.
#pragma once

#include <filesystem>

#include "formats/checkpoint.h"

namespace weir {

/// Throws not_found, io, invalid_argument (not a file), bad_format, unsupported with one sentence
/// that says what the thing is and what to do. Pickle files are never opened.
Checkpoint open_checkpoint(const std::filesystem::path& path);

}  // namespace weir
