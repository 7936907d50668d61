// Reads and writes safetensors: one file, or shards listed in model.safetensors.index.json. The
// header must describe the data exactly: no hole, no overlap, nothing after it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/checkpoint.h"

namespace weir {

/// Opens one .safetensors file, or an index .json and all the shards it names (beside it).
/// `__metadata__` becomes the Checkpoint's metadata. Tensors are in the order of their data.
/// Throws not_found, io, bad_format, unsupported, limit_exceeded.
Checkpoint read_safetensors(const std::filesystem::path& path);

/// Reads one file from memory that outlives the result.
Checkpoint read_safetensors(std::span<const std::byte> bytes, std::string_view name);

/// Writes one file (complete or not at all). Dims innermost first, as everywhere in formats/.
/// `notes` becomes __metadata__. Tensors are ordered by element size, largest first, so that each
/// is aligned to its element. Throws invalid_argument, io.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorEntry> tensors,
                       const std::map<std::string, std::string>& notes);

}  // namespace weir
