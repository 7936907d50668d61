// Files that were changed behind the store's back: refused, deleted, counted; never a wrong page.
#include <gtest/gtest.h>

#include <random>

#include "cache/disk_format.h"
#include "disk_support.h"
#include "support/clock.h"
#include "support/memory_io.h"

namespace weir::test {
namespace {

constexpr uint32_t kPages = 6;
constexpr size_t kBytes = 5000;

struct Disk {
  std::string name, segment;

  Disk() {
    MemoryIo disk;
    write(disk);
    for (const auto& [file, content] : disk.files())
      if (file != "lock") std::tie(name, segment) = std::tie(file, content);
  }

  static DiskStoreOptions options(FileIo& io) {
    auto o = plain_options("/cache");
    o.segment_bytes = 1 << 20;
    o.io = &io;
    return o;
  }

  static void write(FileIo& io) {
    DiskStore store(options(io));
    for (uint32_t i = 0; i < kPages; ++i) put(store, make_page(i, kBytes));
  }
};

/// Opens a disk with this segment: no wrong page, a damaged file is gone after its pages were
/// asked for, and the store goes on.
void check(const Disk& disk, const std::string& segment) {
  MemoryIo io(MemoryIo::Files{{disk.name, segment}});
  DiskStore store(Disk::options(io));
  ASSERT_NE(count_right(store, kPages, kBytes), -1);
  const DiskCounters c = store.counters();
  ASSERT_EQ(c.corrupt, 1u);
  ASSERT_EQ(c.pages, 0u);
  ASSERT_FALSE(io.files().contains(disk.name)) << "not deleted";
  ASSERT_TRUE(c.working);
  for (uint32_t i = 0; i < kPages; ++i) put(store, make_page(i, kBytes));
  store.flush();
  ASSERT_EQ(count_right(store, kPages, kBytes), static_cast<int>(kPages));
}

TEST(DiskDamage, AnyFlippedByte) {
  const Disk disk;
  ASSERT_GT(disk.segment.size(), kPages * kBytes);
  std::mt19937_64 random(3);
  const size_t head = kSegmentHeadBytes + kPages * kSegmentEntryBytes;
  const int flips = long_tests() ? 10000 : 500;
  for (int n = 0; n < flips; ++n) {
    // Half of them where every byte has a meaning.
    const size_t at =
        n % 2 == 0 ? static_cast<size_t>(n / 2) % head : random() % disk.segment.size();
    std::string segment = disk.segment;
    segment[at] = static_cast<char>(segment[at] ^ static_cast<char>(1 + random() % 255));
    SCOPED_TRACE(testing::Message() << "byte " << at);
    ASSERT_NO_FATAL_FAILURE(check(disk, segment));
  }
}

TEST(DiskDamage, AnyLength) {
  const Disk disk;
  for (size_t length = 0; length < disk.segment.size();
       length += length < 600 ? 1 : (long_tests() ? 64 : 509)) {
    SCOPED_TRACE(testing::Message() << length << " bytes");
    ASSERT_NO_FATAL_FAILURE(check(disk, disk.segment.substr(0, length)));
  }
  ASSERT_NO_FATAL_FAILURE(check(disk, disk.segment + '\0'));
}

TEST(DiskDamage, CutWhileOpen) {
  const Disk disk;
  for (size_t length : {size_t{0}, size_t{100}, disk.segment.size() - 1}) {
    // The index is in memory already when the file is cut.
    class Cut : public MemoryIo {
     public:
      using MemoryIo::MemoryIo;
      int64_t read(int fd, uint64_t offset, std::span<std::byte> bytes) override {
        if (offset >= end) return 0;
        return MemoryIo::read(fd, offset,
                              bytes.first(std::min<size_t>(bytes.size(), end - offset)));
      }
      uint64_t end = UINT64_MAX;
    } io(MemoryIo::Files{{disk.name, disk.segment}});
    DiskStore store(Disk::options(io));
    io.end = length;
    EXPECT_EQ(get(store, make_page(kPages - 1, kBytes)), Got::nothing);
    EXPECT_EQ(store.counters().corrupt, 1u);
    EXPECT_TRUE(store.counters().working);
  }
}

TEST(DiskDamage, OtherVersionsAndOtherFiles) {
  const Disk disk;
  for (const char version : {'\0', '\2', '\xff'}) {
    std::string segment = disk.segment;
    segment[8] = version;
    ASSERT_NO_FATAL_FAILURE(check(disk, segment));
  }
  ASSERT_NO_FATAL_FAILURE(check(disk, std::string(disk.segment.size(), '\0')));
  ASSERT_NO_FATAL_FAILURE(check(disk, "GGUF" + std::string(5000, 'x')));
}

// A well-formed file whose entries claim other names than its pages have: a page of one tenant or
// model offered under the key of another.
TEST(DiskDamage, AForgedKeyIsAMiss) {
  Page mine = make_page(1), other = make_page(2);
  SegmentEntry entry;
  entry.key = mine.key;
  entry.identity_bytes = static_cast<uint32_t>(other.name.size());
  entry.payload_bytes = other.bytes.size();
  const auto name = std::as_bytes(std::span(other.name));
  entry.checksum = page_checksum(entry.key, name, other.bytes);
  std::string segment = encode_segment_head({&entry, 1}) + other.name;
  segment.append(reinterpret_cast<const char*>(other.bytes.data()), other.bytes.size());
  MemoryIo io(MemoryIo::Files{{"kv-0000000000000001.seg", segment}});
  DiskStore store(Disk::options(io));
  EXPECT_EQ(store.counters().pages, 1u);
  EXPECT_EQ(get(store, mine), Got::nothing);
}

}  // namespace
}  // namespace weir::test
