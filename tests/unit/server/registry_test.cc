// Models by name: loading once for many, keeping, unloading, room in memory, races.
#include "engine/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "unit/server/fake_engine.h"

namespace weir {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

struct World {
  std::atomic<int> opened = 0;
  std::atomic<int64_t> now_ms = 0;
  std::chrono::milliseconds opening{0};
  std::map<std::string, int64_t> bytes;

  OpenModel open() {
    return [this](const ModelSource& source) {
      ++opened;
      std::this_thread::sleep_for(opening);
      if (source.name == "broken") fail(Code::bad_format, "the file is broken");
      PlannedModel planned;
      planned.plan.weights = bytes.count(source.name) != 0 ? bytes[source.name] : 10;
      planned.start = [] { return std::make_unique<test::FakeEngine>(); };
      return planned;
    };
  }
  RegistryOptions options(int64_t memory, double keep_alive) {
    RegistryOptions o;
    o.memory_bytes = memory;
    o.keep_alive_seconds = keep_alive;
    o.now = [this] {
      return std::chrono::steady_clock::time_point(std::chrono::milliseconds(now_ms));
    };
    return o;
  }
};

std::string error_of(const std::function<void()>& action, Code code) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(Registry, LoadsOnceForMany) {
  World world;
  world.opening = 50ms;
  ModelRegistry registry({{"a", "", false}}, world.open(), world.options(0, 10));
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { registry.acquire("a"); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(world.opened, 1);
  EXPECT_EQ(registry.acquire("").name(), "a");
  EXPECT_EQ(registry.acquire("a:latest").name(), "a");
}

TEST(Registry, UnloadsWhenIdleForItsTime) {
  World world;
  ModelRegistry registry({{"a", "", false}, {"pinned", "", true}}, world.open(),
                         world.options(0, 10));
  const auto is_loaded = [&](const char* name) { return registry.status(name)->loaded; };
  registry.acquire("pinned");
  {
    const ModelLease lease = registry.acquire("a");
    world.now_ms = 1'000'000;
    registry.sweep();
    EXPECT_TRUE(is_loaded("a"));  // in use
  }
  world.now_ms += 9'900;
  registry.sweep();
  EXPECT_TRUE(is_loaded("a"));
  world.now_ms += 200;
  registry.sweep();
  EXPECT_FALSE(is_loaded("a"));
  EXPECT_TRUE(is_loaded("pinned"));
  ModelLease forever = registry.acquire("a");
  forever.keep_alive(-1);
  forever.release();
  world.now_ms += 1'000'000'000;
  registry.sweep();
  EXPECT_TRUE(is_loaded("a"));
  ModelLease now = registry.acquire("a");
  now.keep_alive(0);
  now.release();
  registry.sweep();
  EXPECT_FALSE(is_loaded("a"));
  EXPECT_EQ(registry.loads(), 3u);
}

TEST(Registry, MakesRoomOrRefusesWithNumbers) {
  World world;
  world.bytes = {
      {"a", 600'000'000}, {"b", 600'000'000}, {"c", 300'000'000}, {"huge", 2'000'000'000}};
  ModelRegistry registry(
      {{"a", "", false}, {"b", "", false}, {"c", "", false}, {"huge", "", false}}, world.open(),
      world.options(1'000'000'000, 100));
  {
    const ModelLease a = registry.acquire("a");
    registry.acquire("c");
    // c is idle and goes, a is in use and stays: not enough.
    const std::string message = error_of([&] { registry.acquire("b"); }, Code::unavailable);
    EXPECT_THAT(message, HasSubstr("needs 600.0 MB"));
    EXPECT_THAT(message, HasSubstr("600.0 MB of the 1.00 GB"));
    EXPECT_TRUE(registry.status("a")->loaded);
    EXPECT_FALSE(registry.status("c")->loaded);
  }
  registry.acquire("b");
  EXPECT_FALSE(registry.status("a")->loaded);
  EXPECT_THAT(error_of([&] { registry.acquire("huge"); }, Code::limit_exceeded),
              HasSubstr("needs 2.00 GB"));
}

TEST(Registry, FailuresLeaveItUsable) {
  World world;
  ModelRegistry registry({{"broken", "", false}, {"a", "", false}}, world.open(),
                         world.options(0, 10));
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(error_of([&] { registry.acquire("broken"); }, Code::bad_format),
              "the file is broken");
  registry.acquire("a");
  error_of([&] { registry.acquire("nothing"); }, Code::not_found);
  error_of([&] { registry.acquire("../a"); }, Code::not_found);
}

TEST(Registry, RefusesBadNames) {
  World world;
  for (const char* name : {"", "a/b", "..", ".hidden", "a b", "a\n"})
    EXPECT_THROW(ModelRegistry({{name, "", false}}, world.open(), world.options(0, 1)), Error)
        << name;
  EXPECT_THROW(
      ModelRegistry({{"a", "", false}, {"a", "", false}}, world.open(), world.options(0, 1)),
      Error);
}

TEST(Registry, KnowsTheModelsOfAFolderAndNoOthers) {
  namespace fs = std::filesystem;
  std::string pattern = (fs::temp_directory_path() / "weir-models-XXXXXX").string();
  const fs::path root = mkdtemp(pattern.data());
  const fs::path outside = root.string() + "-outside.gguf";
  std::ofstream(outside) << "x";
  std::ofstream(root / "good.gguf") << "x";
  std::ofstream(root / "notes.txt") << "x";
  std::ofstream(root / "bad name.gguf") << "x";
  fs::create_symlink(outside, root / "link.gguf");
  World world;
  auto options = world.options(0, 1);
  options.folder = root;
  ModelRegistry registry({}, world.open(), options);
  ASSERT_EQ(registry.list().size(), 1u);
  EXPECT_EQ(registry.default_name(), "good");
  std::ofstream(root / "later.gguf") << "x";
  EXPECT_EQ(registry.acquire("later").name(), "later");
  fs::remove_all(root);
  fs::remove(outside);
}

TEST(Registry, LeasesAndUnloadsDoNotRace) {
  World world;
  world.bytes = {{"a", 60}, {"b", 60}};
  ModelRegistry registry({{"a", "", false}, {"b", "", false}}, world.open(), world.options(100, 0));
  std::atomic<int> served = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 200; ++k) {
        try {
          const ModelLease lease = registry.acquire((i + k) % 2 == 0 ? "a" : "b");
          EXPECT_EQ(lease.engine().capabilities().engine, "fake");
          ++served;
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), Code::unavailable);
        }
        if (k % 3 == 0) registry.sweep();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(served, 100);
}

}  // namespace
}  // namespace weir
