// Every file call failing in turn, with every error: requests never notice more than misses, the
// store says once that it stopped, and works again when the disk does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "disk_support.h"
#include "support/clock.h"
#include "support/faulty_io.h"
#include "support/memory_io.h"
#include "support/temp_dir.h"

namespace weir::test {
namespace {

constexpr std::array kErrors = {ENOSPC, EIO,    EDQUOT, EROFS, EINTR, EACCES,
                                EMFILE, ENOMEM, ENOENT, EFBIG, 0 /* half a read or write */};

struct World {
  MemoryIo memory;
  FaultyIo io;
  double time = 0;
  int stopped = 0, resumed = 0;

  explicit World(const MemoryIo::Files& files) : memory(files), io(memory) {}

  DiskStoreOptions options(FileIo& chosen, const std::filesystem::path& folder = "/cache") {
    DiskStoreOptions o = plain_options(folder, 40);
    o.io = &chosen;
    o.now = [this] { return time; };
    o.notice = [this](bool working, const std::string&) { ++(working ? resumed : stopped); };
    return o;
  }
};

/// A disk with twelve pages, a damaged segment and half a temporary file.
MemoryIo::Files used_disk() {
  MemoryIo memory;
  World world({});
  {
    DiskStore store(world.options(memory));
    for (uint32_t i = 0; i < 16; ++i) put(store, make_page(i));
  }
  auto files = memory.files();
  files["kv-0000000000000004.seg"][20] ^= 1;
  files["kv-0000000000000009.tmp"] = "half";
  return files;
}

/// Opens, reads, writes past the bound (so that it evicts) and reads again.
void work(DiskStore& store) {
  EXPECT_NE(count_right(store, 16), -1);
  for (uint32_t i = 100; i < 140; ++i) {
    put(store, make_page(i));
    if (i % 8 == 7) store.flush();
  }
  for (uint32_t i = 100; i < 140; ++i) EXPECT_NE(get(store, make_page(i)), Got::wrong);
}

TEST(DiskFaults, EveryCallFailingInTurn) {
  const auto before = used_disk();
  int most = 0;
  for (const int error : kErrors) {
    for (int k = 1;; ++k) {
      SCOPED_TRACE(testing::Message() << std::strerror(error) << " at call " << k);
      World world(before);
      world.io.fail(k, error);
      DiskStore store(world.options(world.io));
      work(store);
      const bool failed = world.io.failed();
      most = std::max(most, k);
      EXPECT_LE(world.stopped, 1);
      if (error == EINTR || error == 0) {
        EXPECT_EQ(world.stopped, 0);
      }
      // The fault was one call: after the pause everything works.
      world.io.heal();
      world.time += 1000;
      put(store, make_page(500));
      store.flush();
      EXPECT_EQ(get(store, make_page(500)), Got::right);
      EXPECT_TRUE(store.counters().working);
      EXPECT_EQ(world.resumed, world.stopped);
      EXPECT_LE(store.counters().bytes, 40u * 3200);
      if (!failed) break;
      ASSERT_LT(k, 10000);
    }
  }
  EXPECT_GT(most, 100);
}

TEST(DiskFaults, EveryCallFailingFromSomeTimeOn) {
  const auto before = used_disk();
  for (const int error : {ENOSPC, EIO, EROFS, EINTR}) {
    for (int k = 1;; ++k) {
      SCOPED_TRACE(testing::Message() << std::strerror(error) << " from call " << k << " on");
      World world(before);
      world.io.fail(k, error, true);
      DiskStore store(world.options(world.io));
      for (int round = 0; round < 3; ++round) {
        work(store);
        world.time += 1000;
      }
      const bool failed = world.io.failed();
      EXPECT_EQ(world.stopped, failed ? 1 : 0) << "one warning, however long it lasts";
      EXPECT_EQ(world.resumed, 0);
      world.io.heal();
      put(store, make_page(500));
      store.flush();
      EXPECT_EQ(get(store, make_page(500)), Got::right);
      EXPECT_EQ(world.resumed, world.stopped);
      if (!failed) break;
      k += long_tests() ? 0 : k / 16;
    }
  }
}

TEST(DiskFaults, OnARealFolder) {
  const TempDir folder;
  int faults = 0;
  for (int k = 1;; k += long_tests() ? 1 : 5) {
    World world({});
    FaultyIo io(real_file_io());
    io.fail(k, k % 2 == 0 ? ENOSPC : EIO);
    DiskStore store(world.options(io, folder.path()));
    for (uint32_t i = 0; i < 12; ++i) put(store, make_page(static_cast<uint32_t>(k) * 12 + i));
    store.flush();
    for (uint32_t i = 0; i < 12; ++i)
      EXPECT_NE(get(store, make_page(static_cast<uint32_t>(k) * 12 + i)), Got::wrong);
    if (!io.failed()) break;
    ++faults;
  }
  EXPECT_GT(faults, 3);
}

TEST(DiskFaults, AFullDiskStopsWritingButNotReading) {
  World world(used_disk());
  DiskStore store(world.options(world.io));
  world.io.fail(3, ENOSPC);  // free space is asked, the file is made, and then it is full
  put(store, make_page(100));
  store.flush();
  world.io.heal();
  EXPECT_EQ(world.stopped, 1);
  EXPECT_FALSE(store.counters().working);
  EXPECT_EQ(count_right(store, 12), 12);
  const auto dropped = store.counters().dropped;
  put(store, make_page(101));
  EXPECT_EQ(store.counters().dropped, dropped + 1) << "no write before the pause is over";
  world.time += 31;
  put(store, make_page(101));
  store.flush();
  EXPECT_EQ(get(store, make_page(101)), Got::right);
  EXPECT_EQ(world.resumed, 1);
  for (const auto& [name, content] : world.memory.files())
    EXPECT_THAT(name, testing::Not(testing::EndsWith(".tmp")));
}

class NearlyFull : public FaultyIo {
 public:
  using FaultyIo::FaultyIo;
  int64_t free_bytes(const std::filesystem::path&) override { return free; }
  int64_t free = 0;
};

TEST(DiskFaults, LeavesRoomForOthers) {
  World world({});
  NearlyFull io(world.memory);
  auto options = world.options(io);
  options.keep_free_bytes = 1 << 20;
  DiskStore store(options);
  io.free = (1 << 20) + 2000;
  put(store, make_page(1));
  store.flush();
  EXPECT_EQ(store.counters().pages, 0u);
  EXPECT_EQ(world.stopped, 1);
  io.free = (1 << 20) + 4000;
  world.time += 31;
  put(store, make_page(1));
  store.flush();
  EXPECT_EQ(get(store, make_page(1)), Got::right);
  EXPECT_EQ(world.resumed, 1);
}

TEST(DiskFaults, ABadSectorCostsItsSegmentOnly) {
  World world(used_disk());
  DiskStore store(world.options(world.io));
  world.io.fail(3, EIO);  // open, touch, read
  EXPECT_EQ(get(store, make_page(0)), Got::nothing);
  EXPECT_EQ(world.stopped, 1);
  world.time += 31;
  EXPECT_EQ(get(store, make_page(0)), Got::nothing);
  EXPECT_EQ(count_right(store, 12), 8);
  EXPECT_EQ(world.resumed, 1);
  EXPECT_TRUE(store.counters().working);
}

/// A file system of its own in a folder, where this process may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const char* options)
      : mounted_(::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, options) == 0) {}
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TempDir folder_;
  bool mounted_;
};

TEST(DiskFaults, AFullDiskForReal) {
  const SmallDisk disk("size=8m,mode=0700");
  if (!disk.mounted()) GTEST_SKIP() << "may not mount a file system here";
  World world({});
  auto options = world.options(real_file_io(), disk.path());
  options.max_bytes = 64 << 20;
  options.segment_bytes = 1 << 20;
  // Says there is room, so that the write itself hits the end of the disk.
  class Optimist : public FaultyIo {
   public:
    using FaultyIo::FaultyIo;
    int64_t free_bytes(const std::filesystem::path&) override { return int64_t{1} << 40; }
  } io(real_file_io());
  options.io = &io;
  DiskStore store(options);
  for (uint32_t i = 0; i < 160; ++i) {
    put(store, make_page(i, 100000));
    if (i % 10 == 9) store.flush();
  }
  store.flush();
  EXPECT_EQ(world.stopped, 1);
  const uint64_t before = store.counters().pages;
  EXPECT_GE(before, 60u);
  EXPECT_LT(before, 85u);
  EXPECT_EQ(count_right(store, 160, 100000), static_cast<int>(before));
  for (const auto& entry : std::filesystem::directory_iterator(disk.path()))
    EXPECT_NE(entry.path().extension(), ".tmp");
  // Room comes back; so does the store.
  ASSERT_EQ(::mount("tmpfs", disk.path().c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
  world.time += 31;
  put(store, make_page(500, 100000));
  store.flush();
  EXPECT_EQ(get(store, make_page(500, 100000)), Got::right);
  EXPECT_EQ(world.resumed, 1);
}

TEST(DiskFaults, AFullDiskIsSharedByEvictingOurOwn) {
  const SmallDisk disk("size=8m,mode=0700");
  if (!disk.mounted()) GTEST_SKIP() << "may not mount a file system here";
  World world({});
  auto options = world.options(real_file_io(), disk.path());
  options.max_bytes = 64 << 20;
  options.segment_bytes = 1 << 20;
  options.keep_free_bytes = 2 << 20;
  DiskStore store(options);
  for (uint32_t i = 0; i < 160; ++i) {
    put(store, make_page(i, 100000));
    if (i % 10 == 9) store.flush();
  }
  EXPECT_EQ(world.stopped, 0);
  EXPECT_GE(real_file_io().free_bytes(disk.path()), 2 << 20);
  EXPECT_EQ(get(store, make_page(159, 100000)), Got::right);
  EXPECT_GE(store.counters().pages, 40u);
}

TEST(DiskFaults, AFolderThatCannotBeWrittenTo) {
  const SmallDisk disk("size=8m,mode=0700");
  if (!disk.mounted()) GTEST_SKIP() << "may not mount a file system here";
  World world({});
  {
    DiskStore store(world.options(real_file_io(), disk.path()));
    put(store, make_page(1));
  }
  ASSERT_EQ(::mount("tmpfs", disk.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
  DiskStore store(world.options(real_file_io(), disk.path()));
  EXPECT_FALSE(store.counters().working);
  EXPECT_EQ(world.stopped, 1);
  EXPECT_EQ(get(store, make_page(1)), Got::nothing);
  ASSERT_EQ(::mount("tmpfs", disk.path().c_str(), "tmpfs", MS_REMOUNT, ""), 0);
  world.time += 31;
  put(store, make_page(2));
  store.flush();
  EXPECT_EQ(count_right(store, 3), 2);
  EXPECT_EQ(world.resumed, 1);
}

}  // namespace
}  // namespace weir::test
