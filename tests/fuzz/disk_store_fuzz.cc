// Fuzz target: a hostile segment file in the folder of a disk store. Nothing throws; what is given
// back is what its own checksum and name say; a file that lost a page is gone. The mutator sets the
// checksums right, so that most inputs reach the checks behind them.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "../support/memory_io.h"
#include "base/error.h"
#include "cache/disk_format.h"
#include "cache/disk_store.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

constexpr size_t kHead = weir::kSegmentHeadBytes, kEntry = weir::kSegmentEntryBytes;

weir::DiskStoreOptions options(weir::FileIo& io) {
  weir::DiskStoreOptions result;
  result.folder = "/cache";
  result.background = false;
  result.keep_free_bytes = 0;
  result.io = &io;
  return result;
}

std::string segment_of(size_t pages) {
  weir::test::MemoryIo io;
  {
    weir::DiskStore store(options(io));
    for (size_t i = 0; i < pages; ++i) {
      const std::string name = "page " + std::to_string(i);
      const std::vector<std::byte> bytes(16 + i, static_cast<std::byte>(i));
      store.put(weir::sha256(name), name, bytes);
    }
  }
  for (const auto& [name, content] : io.files())
    if (name != "lock") return content;
  return {};
}

void put_checksum(std::string& text, size_t at, std::string_view of) {
  const weir::Checksum sum = weir::checksum(std::as_bytes(std::span(of)));
  std::memcpy(text.data() + at, &sum.low, 8);
  std::memcpy(text.data() + at + 8, &sum.high, 8);
}

/// Makes size, index and head fit each other again.
void repair(std::string& text) {
  if (text.size() < kHead) return;
  const uint64_t size = text.size();
  std::memcpy(text.data() + 16, &size, 8);
  uint64_t index_bytes = 0;
  std::memcpy(&index_bytes, text.data() + 24, 8);
  if (index_bytes <= text.size() - kHead)
    put_checksum(text, 32, std::string_view(text).substr(kHead, index_bytes));
  put_checksum(text, 48, std::string_view(text).substr(0, 48));
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  std::minstd_rand random(seed);
  std::string text(reinterpret_cast<const char*>(data), size);
  if (size < kHead || random() % 16 == 0) text = segment_of(1 + random() % 4);
  switch (random() % 4) {
    case 0:
      text.resize(max_size);
      text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()),
                                   std::min(size, max_size), max_size));
      break;
    case 1: {  // a field of an entry
      const size_t pages = std::max<size_t>((text.size() - kHead) / kEntry, 1);
      const size_t at = kHead + (random() % pages) * kEntry + 32 + 4 * (random() % 5);
      const uint64_t values[] = {0, 1, text.size(), text.size() + 1, ~uint64_t{0}, random()};
      if (at + 8 <= text.size()) std::memcpy(text.data() + at, &values[random() % 6], 8);
      break;
    }
    case 2: {  // the head
      const uint32_t value = random() % 3 == 0 ? ~uint32_t{0} : static_cast<uint32_t>(random() % 9);
      if (text.size() >= kHead) std::memcpy(text.data() + 8 + 4 * (random() % 6), &value, 4);
      break;
    }
    default:
      if (!text.empty()) text.resize(random() % text.size());
  }
  if (random() % 8 != 0) repair(text);
  const size_t result = std::min(text.size(), max_size);
  std::memcpy(data, text.data(), result);
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::string file = "kv-0000000000000001.seg";
  weir::test::MemoryIo io(weir::test::MemoryIo::Files{{file, text}});
  weir::DiskStore store(options(io));
  const auto bytes = std::as_bytes(std::span(text));
  std::vector<weir::SegmentEntry> entries;
  try {
    entries = weir::decode_segment_index(bytes, size);
  } catch (const weir::Error&) {
    if (io.files().contains(file)) std::abort();
    return 0;
  }
  for (const weir::SegmentEntry& entry : entries) {
    const auto name = text.substr(entry.offset, entry.identity_bytes);
    const auto page = bytes.subspan(entry.offset + entry.identity_bytes, entry.payload_bytes);
    std::vector<std::byte> found(page.size());
    if (store.get(entry.key, name + "x", found)) std::abort();
    const bool got = store.get(entry.key, name, found);
    const bool whole =
        weir::page_checksum(entry.key, std::as_bytes(std::span(name)), page) == entry.checksum;
    if (got && (!whole || !std::equal(page.begin(), page.end(), found.begin()))) std::abort();
    if (!whole && store.counters().corrupt > 0 && io.files().contains(file)) std::abort();
  }
  if (!store.counters().working) std::abort();
  return 0;
}
