// Reads GGUF v2 and v3 (little-endian), also split over several files. Only header, metadata and
// tensor directory are touched; tensor data stays in the mapping. Refuses v1, big-endian, unknown
// types, and any layout in which the data of the tensors is not one gapless, padded sequence.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "formats/checkpoint.h"

namespace weir {

/// Opens a file; of a split model any one of its files, the others are found beside it.
/// Throws not_found, io, bad_format, unsupported, limit_exceeded.
Checkpoint read_gguf(const std::filesystem::path& path);

/// The same for a mapping that is open already.
Checkpoint read_gguf(std::shared_ptr<const MappedFile> file);

/// Reads one unsplit GGUF from memory that outlives the result (the embedded model). `name` stands
/// in messages.
Checkpoint read_gguf(std::span<const std::byte> bytes, std::string_view name);

}  // namespace weir
