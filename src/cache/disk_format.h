// The bytes of a segment file: a run of KV pages that were written together. Owns the layout and
// its checks; everything read is hostile until its checksum fits. Refuses files of another version.
//
//   head    64 bytes: magic "WEIRKVS\n", version u32, pages u32, file bytes u64, index bytes u64,
//           XXH3-128 of the index, XXH3-128 of the 48 bytes before
//   index   for each page 68 bytes: key[32], offset u64, identity bytes u32, payload bytes u64,
//           XXH3-128 of key, identity and payload
//   pages   identity, payload, identity, payload, … without gaps to the end of the file
// Integers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "cache/page_store.h"

namespace weir {

inline constexpr uint32_t kSegmentVersion = 1;
inline constexpr size_t kSegmentHeadBytes = 64;
inline constexpr size_t kSegmentEntryBytes = 68;
// More than any segment we write; what a file claims beyond this is not believed.
inline constexpr uint32_t kMaxSegmentPages = 1 << 16;
inline constexpr uint32_t kMaxIdentityBytes = 1 << 20;
inline constexpr uint64_t kMaxPageBytes = uint64_t{1} << 32;

struct SegmentEntry {
  PageKey key;
  uint64_t offset = 0;  // of the identity in the file; the payload follows it
  uint32_t identity_bytes = 0;
  uint64_t payload_bytes = 0;
  Checksum checksum;
};

Checksum page_checksum(const PageKey& key, std::span<const std::byte> identity,
                       std::span<const std::byte> payload);

/// Bytes of a segment file with these pages.
uint64_t segment_bytes(std::span<const SegmentEntry> entries);

/// Sets the offsets of entries that follow each other and gives head and index.
std::string encode_segment_head(std::span<SegmentEntry> entries);

/// The bytes of the index that a head announces. Throws bad_format: no segment, another version,
/// damaged, or not a file of `file_bytes`.
uint64_t decode_segment_head(std::span<const std::byte> head, uint64_t file_bytes);

/// The pages of a segment from its whole head and index. Throws bad_format.
std::vector<SegmentEntry> decode_segment_index(std::span<const std::byte> head_and_index,
                                               uint64_t file_bytes);

}  // namespace weir
