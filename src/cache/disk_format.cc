#include "cache/disk_format.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"

namespace weir {
namespace {

constexpr std::string_view kMagic = "WEIRKVS\n";

template <typename T>
void put(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

void put(std::string& out, const Checksum& value) {
  put(out, value.low);
  put(out, value.high);
}

/// Takes integers from the front; the caller has checked that they are there.
class Taker {
 public:
  explicit Taker(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <typename T>
  T take() {
    T value{};
    for (size_t i = 0; i < sizeof(T); ++i)
      value |= static_cast<T>(static_cast<T>(bytes_[i]) << (8 * i));
    bytes_ = bytes_.subspan(sizeof(T));
    return value;
  }

  Checksum take_checksum() {
    Checksum value;
    value.low = take<uint64_t>();
    value.high = take<uint64_t>();
    return value;
  }

  std::span<const std::byte> take_bytes(size_t count) {
    const auto front = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return front;
  }

 private:
  std::span<const std::byte> bytes_;
};

struct Head {
  uint32_t pages = 0;
  uint64_t index_bytes = 0;
  Checksum index;
};

Head take_head(std::span<const std::byte> bytes, uint64_t file_bytes) {
  if (bytes.size() < kSegmentHeadBytes || file_bytes < kSegmentHeadBytes)
    fail(Code::bad_format, "a cache segment has at least {} bytes, this file {}", kSegmentHeadBytes,
         file_bytes);
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    fail(Code::bad_format, "not a cache segment: the first bytes are others");
  Taker taker(bytes.subspan(kMagic.size()));
  const auto version = taker.take<uint32_t>();
  if (version != kSegmentVersion)
    fail(Code::bad_format, "cache segment of version {}, this program reads version {}", version,
         kSegmentVersion);
  Head head;
  head.pages = taker.take<uint32_t>();
  const auto stated_bytes = taker.take<uint64_t>();
  head.index_bytes = taker.take<uint64_t>();
  head.index = taker.take_checksum();
  if (taker.take_checksum() != checksum(bytes.first(kSegmentHeadBytes - sizeof(Checksum))))
    fail(Code::bad_format, "the head of the cache segment is damaged");
  if (stated_bytes != file_bytes)
    fail(Code::bad_format, "the cache segment should have {} bytes, found {}", stated_bytes,
         file_bytes);
  if (head.pages == 0 || head.pages > kMaxSegmentPages ||
      head.index_bytes != uint64_t{head.pages} * kSegmentEntryBytes ||
      head.index_bytes > file_bytes - kSegmentHeadBytes)
    fail(Code::bad_format, "the head of the cache segment contradicts itself");
  return head;
}

}  // namespace

Checksum page_checksum(const PageKey& key, std::span<const std::byte> identity,
                       std::span<const std::byte> payload) {
  ChecksumStream stream;
  stream.add(key);
  stream.add(identity);
  stream.add(payload);
  return stream.value();
}

uint64_t segment_bytes(std::span<const SegmentEntry> entries) {
  uint64_t bytes = kSegmentHeadBytes + entries.size() * kSegmentEntryBytes;
  for (const SegmentEntry& entry : entries) bytes += entry.identity_bytes + entry.payload_bytes;
  return bytes;
}

std::string encode_segment_head(std::span<SegmentEntry> entries) {
  WEIR_CHECK(!entries.empty() && entries.size() <= kMaxSegmentPages, "pages of a segment");
  std::string index;
  uint64_t offset = kSegmentHeadBytes + entries.size() * kSegmentEntryBytes;
  for (SegmentEntry& entry : entries) {
    entry.offset = offset;
    offset += entry.identity_bytes + entry.payload_bytes;
    index.append(reinterpret_cast<const char*>(entry.key.data()), entry.key.size());
    put(index, entry.offset);
    put(index, entry.identity_bytes);
    put(index, entry.payload_bytes);
    put(index, entry.checksum);
  }
  std::string head(kMagic);
  put(head, kSegmentVersion);
  put(head, static_cast<uint32_t>(entries.size()));
  put(head, offset);
  put(head, uint64_t{index.size()});
  put(head, checksum(std::as_bytes(std::span(index))));
  put(head, checksum(std::as_bytes(std::span(head))));
  return head + index;
}

uint64_t decode_segment_head(std::span<const std::byte> head, uint64_t file_bytes) {
  return take_head(head, file_bytes).index_bytes;
}

std::vector<SegmentEntry> decode_segment_index(std::span<const std::byte> bytes,
                                               uint64_t file_bytes) {
  const Head head = take_head(bytes, file_bytes);
  if (bytes.size() - kSegmentHeadBytes < head.index_bytes)
    fail(Code::bad_format, "the index of the cache segment is cut short");
  const auto index = bytes.subspan(kSegmentHeadBytes, head.index_bytes);
  if (checksum(index) != head.index)
    fail(Code::bad_format, "the index of the cache segment is damaged");
  std::vector<SegmentEntry> entries(head.pages);
  Taker taker(index);
  uint64_t next = kSegmentHeadBytes + head.index_bytes;
  for (SegmentEntry& entry : entries) {
    const auto key = taker.take_bytes(entry.key.size());
    std::copy(key.begin(), key.end(), entry.key.begin());
    entry.offset = taker.take<uint64_t>();
    entry.identity_bytes = taker.take<uint32_t>();
    entry.payload_bytes = taker.take<uint64_t>();
    entry.checksum = taker.take_checksum();
    if (entry.offset != next || entry.identity_bytes > kMaxIdentityBytes ||
        entry.payload_bytes > kMaxPageBytes)
      fail(Code::bad_format, "the index of the cache segment contradicts itself");
    // Both terms are bounded above, and `next` by the file's size.
    next += entry.identity_bytes + entry.payload_bytes;
    if (next > file_bytes)
      fail(Code::bad_format, "a page of the cache segment reaches past its end");
  }
  if (next != file_bytes)
    fail(Code::bad_format, "the cache segment has {} bytes after its last page", file_bytes - next);
  return entries;
}

}  // namespace weir
