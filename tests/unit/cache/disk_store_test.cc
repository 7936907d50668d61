// The store when the disk does as told: pages come back, in this run and the next; bounds hold;
// what is not ours is left alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "disk_support.h"
#include "support/clock.h"
#include "support/memory_io.h"
#include "support/temp_dir.h"

namespace weir::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(DiskStore, GivesBackWhatWasPut) {
  const TempDir folder;
  DiskStore store(plain_options(folder.path()));
  EXPECT_EQ(get(store, make_page(0)), Got::nothing);
  for (uint32_t i = 0; i < 10; ++i) put(store, make_page(i));
  EXPECT_EQ(count_right(store, 10), 0) << "visible before it was written";
  store.flush();
  EXPECT_EQ(count_right(store, 10), 10);
  const DiskCounters c = store.counters();
  EXPECT_EQ(c.pages, 10u);
  EXPECT_EQ(c.written, 10u);
  EXPECT_EQ(c.hits, 10u);
  EXPECT_EQ(c.segments, 3u);  // four pages each
  EXPECT_EQ(c.dropped + c.corrupt + c.io_errors + c.evicted, 0u);
  EXPECT_TRUE(c.working);
  uint64_t on_disk = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) on_disk += entry.file_size();
  EXPECT_EQ(c.bytes, on_disk);
}

TEST(DiskStore, SurvivesARestart) {
  const TempDir folder;
  for (int run = 0; run < 3; ++run) {
    DiskStore store(plain_options(folder.path()));
    EXPECT_EQ(count_right(store, 30), 10 * run);
    for (uint32_t i = 0; i < 10; ++i) put(store, make_page(10 * run + i));
  }  // the destructor writes
}

TEST(DiskStore, WritesInTheBackground) {
  const TempDir folder;
  auto options = plain_options(folder.path());
  options.background = true;
  options.linger_seconds = 0.01;
  DiskStore store(options);
  put(store, make_page(7));
  for (int i = 0; i < 1000 && store.counters().written == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(get(store, make_page(7)), Got::right);
  for (uint32_t i = 0; i < 50; ++i) put(store, make_page(i));
  store.flush();
  EXPECT_EQ(count_right(store, 50), 50);
}

TEST(DiskStore, KeepsAPageOnce) {
  const TempDir folder;
  DiskStore store(plain_options(folder.path()));
  for (int i = 0; i < 3; ++i) put(store, make_page(1));
  store.flush();
  put(store, make_page(1));
  store.flush();
  EXPECT_EQ(store.counters().written, 1u);
}

TEST(DiskStore, AKeyWithAnotherNameIsAMissNotAnotherPage) {
  const TempDir folder;
  DiskStore store(plain_options(folder.path()));
  // As if SHA-256 were cut to 8 bits: many pages fall together.
  const auto weak = [](Page page) {
    page.key = {page.key[0]};
    return page;
  };
  int right = 0;
  for (uint32_t i = 0; i < 600; ++i) put(store, weak(make_page(i, 64)));
  store.flush();
  for (uint32_t i = 0; i < 600; ++i) {
    const Got got = get(store, weak(make_page(i, 64)));
    ASSERT_NE(got, Got::wrong);
    right += got == Got::right ? 1 : 0;
  }
  EXPECT_LE(right, 256);
  EXPECT_GT(right, 150);
  EXPECT_EQ(store.counters().corrupt, 0u);
}

TEST(DiskStore, APageOfAnotherSizeIsAMiss) {
  const TempDir folder;
  DiskStore store(plain_options(folder.path()));
  Page page = make_page(1);
  put(store, page);
  store.flush();
  page.bytes.resize(2999);
  EXPECT_EQ(get(store, page), Got::nothing);
  EXPECT_EQ(get(store, make_page(1)), Got::right);
}

TEST(DiskStore, StaysWithinItsBytes) {
  const TempDir folder;
  const auto options = plain_options(folder.path(), 40);
  for (int run = 0; run < 2; ++run) {
    DiskStore store(options);
    for (uint32_t i = 0; i < 200; ++i) {
      put(store, make_page(1000 * static_cast<uint32_t>(run) + i));
      if (i % 4 == 3) store.flush();
      EXPECT_LE(store.counters().bytes, options.max_bytes);
      uint64_t on_disk = 0;
      for (const auto& entry : fs::directory_iterator(folder.path())) on_disk += entry.file_size();
      ASSERT_LE(on_disk, options.max_bytes);
    }
    EXPECT_GE(store.counters().pages, 30u);
    EXPECT_GE(store.counters().evicted, 160u);
    EXPECT_EQ(get(store, make_page(1000 * static_cast<uint32_t>(run) + 199)), Got::right);
  }
  // A smaller bound holds from the start on.
  DiskStore small(plain_options(folder.path(), 8));
  EXPECT_LE(small.counters().bytes, 8u * 3200);
  EXPECT_GT(small.counters().pages, 0u);
}

TEST(DiskStore, WhatIsUsedStaysLonger) {
  MemoryIo disk;
  auto options = plain_options("/cache", 40);
  options.io = &disk;
  DiskStore store(options);
  for (uint32_t i = 0; i < 4; ++i) put(store, make_page(i));
  store.flush();
  for (uint32_t i = 4; i < 300; ++i) {
    put(store, make_page(i));
    if (i % 4 != 3) continue;
    store.flush();
    ASSERT_EQ(count_right(store, 4), 4) << i;
  }
  EXPECT_EQ(get(store, make_page(20)), Got::nothing);
  // And goes in the end, when nobody asks for it any more.
  for (uint32_t i = 300; i < 2000; ++i) {
    put(store, make_page(i));
    if (i % 4 == 3) store.flush();
  }
  EXPECT_EQ(count_right(store, 4), 0);
}

TEST(DiskStore, RecentUseOutlivesARestart) {
  const TempDir folder;
  const auto use = [](DiskStore& store, uint32_t first) {
    for (uint32_t i = first; i < first + 4; ++i) EXPECT_EQ(get(store, make_page(i)), Got::right);
  };
  {
    DiskStore store(plain_options(folder.path(), 40));
    for (uint32_t i = 0; i < 16; ++i) put(store, make_page(i));
    store.flush();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // file times have ticks
    use(store, 0);
  }
  DiskStore store(plain_options(folder.path(), 8));
  EXPECT_EQ(count_right(store, 4), 4);
}

TEST(DiskStore, DropsWhatTheQueueCannotHold) {
  const TempDir folder;
  auto options = plain_options(folder.path());
  options.queue_bytes = 5 * 3100;
  DiskStore store(options);
  for (uint32_t i = 0; i < 20; ++i) put(store, make_page(i));
  EXPECT_EQ(store.counters().dropped, 15u);
  EXPECT_LE(store.counters().queued_bytes, options.queue_bytes);
  store.flush();
  EXPECT_EQ(count_right(store, 20), 5);
  put(store, make_page(19));
  store.flush();
  EXPECT_EQ(get(store, make_page(19)), Got::right);
}

TEST(DiskStore, APageLargerThanTheWholeStoreIsDropped) {
  const TempDir folder;
  DiskStore store(plain_options(folder.path(), 2));
  put(store, make_page(1, 10000));
  store.flush();
  EXPECT_EQ(store.counters().dropped, 1u);
  EXPECT_TRUE(store.counters().working);
}

TEST(DiskStore, SweepsItsTemporaryFilesAndNothingElse) {
  const TempDir folder;
  const fs::path outside = folder.path() / "precious";
  std::ofstream(outside) << "mine";
  const fs::path cache = folder.path() / "cache";
  fs::create_directory(cache);
  fs::permissions(cache, fs::perms::owner_all);
  const std::vector<std::string> foreign = {"notes.txt",
                                            "kv-1.seg",
                                            "kv-000000000000000G.seg",
                                            "kv-000000000000000A.seg",
                                            "kv-ffffffffffffffff.seg",
                                            "KV-0000000000000001.seg",
                                            "kv-0000000000000001.seg.bak",
                                            "other.tmp"};
  for (const auto& name : foreign) std::ofstream(cache / name) << "not yours";
  fs::create_directory(cache / "kv-00000000000000aa.seg");
  std::ofstream(cache / "kv-0000000000000003.tmp") << "half a segment";
  fs::create_symlink(outside, cache / "kv-0000000000000004.seg");
  {
    DiskStore store(plain_options(cache));
    EXPECT_TRUE(store.counters().working);
    for (uint32_t i = 0; i < 40; ++i) put(store, make_page(i));
    store.flush();
    EXPECT_EQ(count_right(store, 40), 40);
    EXPECT_EQ(store.counters().corrupt, 1u);  // the link
  }
  DiskStore store(plain_options(cache, 1));  // evicts all
  EXPECT_FALSE(fs::exists(cache / "kv-0000000000000003.tmp"));
  EXPECT_EQ(read_file(outside), "mine");
  for (const auto& name : foreign) EXPECT_EQ(read_file(cache / name), "not yours") << name;
  EXPECT_EQ(names_in(cache).size(), foreign.size() + 2);  // the folder, the lock
}

TEST(DiskStore, TwoStoresDoNotShareAFolder) {
  const TempDir folder;
  auto first = std::make_unique<DiskStore>(plain_options(folder.path()));
  put(*first, make_page(1));
  first->flush();
  auto options = plain_options(folder.path());
  std::vector<std::string> told;
  double time = 0;
  options.now = [&time] { return time; };
  options.notice = [&told](bool, const std::string& text) { told.push_back(text); };
  DiskStore second(options);
  EXPECT_FALSE(second.counters().working);
  for (uint32_t i = 1; i < 100; ++i) {
    put(second, make_page(i));
    EXPECT_EQ(get(second, make_page(i)), Got::nothing);
  }
  time += 100;  // it tries again, in vain, and says nothing new
  put(second, make_page(1));
  second.flush();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], ::testing::HasSubstr("in use by another process"));
  EXPECT_EQ(get(*first, make_page(1)), Got::right);
  first.reset();
  time += 100;  // the other is gone: it takes over
  put(second, make_page(2));
  second.flush();
  EXPECT_EQ(get(second, make_page(1)), Got::right);
  EXPECT_EQ(get(second, make_page(2)), Got::right);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_THAT(told[1], ::testing::HasSubstr("works again"));
}

TEST(DiskStore, RefusesAFolderThatOthersMayWriteTo) {
  const TempDir folder;
  ::chmod(folder.path().c_str(), 0777);
  auto options = plain_options(folder.path());
  std::string told;
  options.notice = [&told](bool, const std::string& text) { told = text; };
  DiskStore store(options);
  EXPECT_FALSE(store.counters().working);
  EXPECT_THAT(told, ::testing::HasSubstr("others may write"));
}

TEST(DiskStore, MakesItsFolderForItsUserAlone) {
  const TempDir folder;
  const fs::path deep = folder.path() / "a" / "b";
  DiskStore store(plain_options(deep));
  put(store, make_page(1));
  store.flush();
  EXPECT_EQ(get(store, make_page(1)), Got::right);
  const auto all = fs::perms::group_all | fs::perms::others_all;
  EXPECT_EQ(fs::status(deep).permissions() & all, fs::perms::none);
  for (const auto& entry : fs::directory_iterator(deep))
    EXPECT_EQ(entry.status().permissions() & all, fs::perms::none) << entry.path();
}

// A prefix of 4096 tokens of a 1.1B model (22 layers, 4 KV heads of 64, f16) is 256 pages of 360
// KB; computing it takes seconds on any CPU.
TEST(DiskStore, GivesBackALongPrefixQuickly) {
  const TempDir folder;
  const size_t page_bytes = long_tests() ? 360448 : 36045;
  auto options = plain_options(folder.path());
  options.max_bytes = options.queue_bytes = uint64_t{1} << 30;
  options.segment_bytes = 32 << 20;
  std::vector<Page> pages;
  for (uint32_t i = 0; i < 256; ++i) pages.push_back(make_page(i, page_bytes));
  {
    DiskStore store(options);
    for (const Page& page : pages) put(store, page);
  }
  std::vector<std::byte> bytes(page_bytes);
  const double seconds = least_seconds(3, [&] {
    DiskStore store(options);
    for (const Page& page : pages) ASSERT_TRUE(store.get(page.key, page.name, bytes));
  });
  RecordProperty("seconds", std::to_string(seconds));
  EXPECT_LT(seconds, allowed_seconds(0.2));
}

TEST(DiskStore, ManyThreadsAtOnce) {
  const TempDir folder;
  auto options = plain_options(folder.path(), 60);
  options.background = true;
  options.linger_seconds = 0;
  DiskStore store(options);
  std::atomic<int> right = 0, wrong = 0;
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      uint32_t state = t + 1;
      for (int i = 0; i < 1500; ++i) {
        state = state * 1664525 + 1013904223;
        const Page page = make_page((state >> 8) % 120);
        if ((state >> 30) == 0) {
          put(store, page);
        } else {
          const Got got = get(store, page);
          right += got == Got::right ? 1 : 0;
          wrong += got == Got::wrong ? 1 : 0;
        }
        if (i % 500 == 499) store.flush();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  store.flush();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(right, 0);
  EXPECT_EQ(store.counters().corrupt, 0u);
  EXPECT_EQ(store.counters().io_errors, 0u);
  EXPECT_LE(store.counters().bytes, options.max_bytes);
}

}  // namespace
}  // namespace weir::test
