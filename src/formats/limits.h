// The one table of limits on bytes from outside. Generous for every honest file; a file beyond one
// is refused with the limit in the message. Every other bound follows from the file's own length.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir::limits {

inline constexpr uint64_t kStringBytes = uint64_t{16} << 20;    // one metadata string
inline constexpr uint64_t kArrayElements = uint64_t{16} << 20;  // one metadata array
inline constexpr int kArrayDepth = 4;                           // arrays of arrays of …
inline constexpr uint64_t kMetadataEntries = 65536;
inline constexpr uint64_t kKeyBytes = 65535;
inline constexpr uint64_t kTensors = 131072;          // over all shards
inline constexpr uint64_t kGgufTensorNameBytes = 63;  // 64 with the NUL that other readers add
inline constexpr uint32_t kGgufDims = 4;
inline constexpr uint32_t kAlignmentMin = 8;  // the specification: a multiple of 8
inline constexpr uint32_t kAlignmentMax = 65536;
inline constexpr uint64_t kShards = 1024;
inline constexpr uint64_t kSafetensorsHeaderBytes = uint64_t{32} << 20;
inline constexpr size_t kSafetensorsNameBytes = 1024;
inline constexpr size_t kSafetensorsDims = 8;
inline constexpr size_t kJsonDepth = 8;                         // safetensors header and index
inline constexpr size_t kJsonTokenBytes = size_t{2} << 20;      // one string or number in them
inline constexpr uint64_t kDocumentBytes = uint64_t{64} << 20;  // config.json, tokenizer.json, …

}  // namespace weir::limits
