// Every file call failing in turn, with every error: requests never notice more than misses, the
// store says once that it stopped, and works again when the disk does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace weir::test
