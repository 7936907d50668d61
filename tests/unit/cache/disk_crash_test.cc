// Power cuts and kill -9: whatever is found afterwards is a whole page or none, temporary files are
// swept, and what flush() promised is there.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "cache/disk_folder.h"
#include "disk_support.h"
#include "support/clock.h"
#include "support/memory_io.h"
#include "support/temp_dir.h"

namespace weir::test {
namespace {

constexpr uint32_t kPages = 60;

TEST(DiskCrash, AnyPowerCutLeavesWholePagesOrNone) {
  MemoryIo disk;
  auto options = plain_options("/cache", 40);
  options.io = &disk;
  std::vector<std::pair<size_t, uint32_t>> flushed;  // changes so far, pages put so far
  {
    DiskStore store(options);
    for (uint32_t i = 0; i < kPages; ++i) {
      put(store, make_page(i));
      if (i % 3 != 2) continue;
      store.flush();
      flushed.emplace_back(disk.changes(), i + 1);
    }
  }
  std::mt19937_64 random(1);
  const int states = long_tests() ? 20000 : 1000;
  int found = 0;
  for (int n = 0; n < states; ++n) {
    const size_t cut = random() % (disk.changes() + 1);
    MemoryIo after(disk.after_power_cut(cut, random));
    auto reopened = options;
    reopened.io = &after;
    DiskStore store(reopened);
    const int right = count_right(store, kPages);
    ASSERT_NE(right, -1) << "state " << n << ", cut after " << cut;
    EXPECT_TRUE(store.counters().working);
    EXPECT_LE(store.counters().bytes, options.max_bytes);
    found += right;
    for (const auto& [name, content] : after.files())
      EXPECT_FALSE(disk_file_number(name, kTemporaryEnding)) << name;
    // The last three pages of the last flush before the cut were promised.
    for (size_t i = 0; i + 1 < flushed.size(); ++i) {
      if (flushed[i].first > cut || flushed[i + 1].first <= cut) continue;
      for (uint32_t page = flushed[i].second - 3; page < flushed[i].second; ++page)
        ASSERT_EQ(get(store, make_page(page)), Got::right) << "state " << n << ", cut " << cut;
    }
  }
  EXPECT_GT(found, states);
}

TEST(DiskCrash, APowerCutDuringRecoveryIsNoWorse) {
  MemoryIo disk;
  auto options = plain_options("/cache", 40);
  options.io = &disk;
  {
    DiskStore store(options);
    for (uint32_t i = 0; i < kPages; ++i) put(store, make_page(i));
  }
  std::mt19937_64 random(2);
  for (int n = 0; n < 200; ++n) {
    MemoryIo first(disk.after_power_cut(random() % (disk.changes() + 1), random));
    options.io = &first;
    {
      DiskStore store(options);
      for (uint32_t i = 0; i < 20; ++i) put(store, make_page(i));
    }
    MemoryIo second(first.after_power_cut(random() % (first.changes() + 1), random));
    options.io = &second;
    DiskStore store(options);
    ASSERT_NE(count_right(store, kPages), -1);
  }
}

// The child of the next test: writes until it is killed. Runs only when told a folder.
TEST(DiskCrash, DISABLED_Child) {
  const char* folder = std::getenv("WEIR_TEST_FOLDER");
  ASSERT_NE(folder, nullptr);
  auto options = plain_options(folder, 300);
  options.background = true;
  options.linger_seconds = 0.001;
  DiskStore store(options);
  if (!store.counters().working) ::_exit(1);
  const std::string first = std::getenv("WEIR_TEST_FIRST"), begun = std::getenv("WEIR_TEST_BEGUN");
  for (uint32_t i = 0;; ++i) {
    put(store, make_page((static_cast<uint32_t>(std::stoul(first)) + i) % 1000));
    if (i == 0) {
      ASSERT_EQ(::write(std::stoi(begun), "!", 1), 1);
    }
    if (i % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// A child that writes pages from `first` on, and a byte to the pipe `begun` when it has begun.
pid_t start_child(const std::filesystem::path& folder, uint32_t first, int begun) {
  const std::string folder_text = "WEIR_TEST_FOLDER=" + folder.string();
  const std::string first_text = "WEIR_TEST_FIRST=" + std::to_string(first);
  const std::string begun_text = "WEIR_TEST_BEGUN=" + std::to_string(begun);
  const pid_t child = ::fork();
  if (child != 0) return child;
  const char* const arguments[] = {"unit_cache", "--gtest_filter=DiskCrash.DISABLED_Child",
                                   "--gtest_also_run_disabled_tests", "--gtest_brief=1", nullptr};
  const char* const environment[] = {folder_text.c_str(), first_text.c_str(), begun_text.c_str(),
                                     nullptr};
  ::execve("/proc/self/exe", const_cast<char* const*>(arguments),
           const_cast<char* const*>(environment));
  ::_exit(127);
}

TEST(DiskCrash, KillNine) {
  const TempDir folder;
  std::mt19937_64 random(std::random_device{}());
  const int kills = long_tests() ? 1000 : 25;
  int found = 0;
  double slowest = 0;
  for (int n = 0; n < kills; ++n) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = start_child(folder.path(), static_cast<uint32_t>(random() % 1000), pipe[1]);
    ASSERT_GT(child, 0);
    ::close(pipe[1]);
    char sign = 0;
    // Now and then it is killed while it starts.
    if (n % 5 != 0) {
      ASSERT_EQ(::read(pipe[0], &sign, 1), 1) << "the child never began";
    }
    std::this_thread::sleep_for(std::chrono::microseconds(2000 + random() % 60000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(pipe[0]);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, status " << status;
    const auto start = std::chrono::steady_clock::now();
    DiskStore store(plain_options(folder.path(), 300));
    slowest = std::max(
        slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    ASSERT_TRUE(store.counters().working);
    EXPECT_EQ(store.counters().corrupt, 0u) << "a torn file got its final name";
    const int right = count_right(store, 1000);
    ASSERT_NE(right, -1);
    found += right;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      EXPECT_NE(entry.path().extension(), ".tmp");
  }
  EXPECT_GT(found, kills) << "the children wrote nothing";
  EXPECT_LT(slowest, allowed_seconds(1.0));
  RecordProperty("kills", kills);
  RecordProperty("pages_found", found);
}

}  // namespace
}  // namespace weir::test
