// Models by name: loaded on demand, kept for a while, unloaded when idle or when another needs the
// memory. A model is planned before it is loaded, and one that does not fit is refused with
// numbers. Owns engines and their lifetime; refuses to know how a model becomes an engine, which is
// a function it is given, and HTTP.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace weir {

struct ModelSource {
  std::string name;
  std::filesystem::path path;  // empty: the embedded model
  bool pinned = false;         // never unloaded
};

/// What a model will occupy, in bytes.
struct MemoryPlan {
  int64_t weights = 0;  // mapped from the file
  int64_t kv_cache = 0;
  int64_t workspace = 0;
  double bytes_per_token = 0;  // weights that one generated token reads
  int64_t total() const { return weights + kv_cache + workspace; }
};

/// A model that is open but holds no memory of its own yet.
struct PlannedModel {
  MemoryPlan plan;
  std::function<std::unique_ptr<Engine>()> start;
};
using OpenModel = std::function<PlannedModel(const ModelSource&)>;

struct RegistryOptions {
  int64_t memory_bytes = 0;         // for all models together; 0: no limit
  double keep_alive_seconds = 300;  // after the last use; negative: for ever
  std::filesystem::path folder;     // its models are known by their file names; empty: none
  std::function<std::chrono::steady_clock::time_point()> now = [] {
    return std::chrono::steady_clock::now();
  };
};

struct ModelStatus {
  std::string name;
  std::filesystem::path path;
  bool pinned = false, loaded = false;
  int64_t in_use = 0;
  MemoryPlan plan;                           // if loaded
  std::optional<Capabilities> capabilities;  // if loaded
  std::optional<double> expires_in;          // seconds; nothing: not before it is asked to
};

class ModelRegistry;

/// A model in use: as long as it lives the engine stays. May be dropped on any thread.
class ModelLease {
 public:
  ModelLease() = default;
  ~ModelLease() { release(); }
  ModelLease(ModelLease&& other) noexcept { *this = std::move(other); }
  ModelLease& operator=(ModelLease&& other) noexcept;

  Engine& engine() const { return *engine_; }
  const std::string& name() const { return name_; }
  explicit operator bool() const { return engine_ != nullptr; }

  /// From the end of this use on; negative: for ever, 0: unload then.
  void keep_alive(double seconds) { keep_alive_ = seconds; }
  void release() noexcept;

 private:
  friend class ModelRegistry;
  ModelRegistry* registry_ = nullptr;
  Engine* engine_ = nullptr;
  std::string name_;
  std::optional<double> keep_alive_;
};

class ModelRegistry {
 public:
  /// The first source is the default. Throws invalid_argument for names that are empty, not plain
  /// (letters, digits and ._-:@+) or there twice.
  ModelRegistry(std::vector<ModelSource> sources, OpenModel open, RegistryOptions options);
  ~ModelRegistry();
  ModelRegistry(const ModelRegistry&) = delete;
  ModelRegistry& operator=(const ModelRegistry&) = delete;

  /// The model of that name (the default if empty; "name:latest" is "name"), loaded. Waits while
  /// it is being loaded or unloaded. Throws not_found; limit_exceeded when it cannot fit,
  /// unavailable when it does not fit beside the models in use; what opening it throws.
  ModelLease acquire(std::string_view name);

  /// Where one model is all there is, throws what its engine would say to one more request
  /// (Engine::check_room); else nothing is known before a request is read. Takes no time.
  void check_room();

  /// Whether acquire() knows the name, without loading.
  bool knows(std::string_view name);

  std::vector<ModelStatus> list();
  std::optional<ModelStatus> status(std::string_view name);
  /// Of the loaded models.
  std::vector<std::pair<std::string, EngineCounters>> counters();
  std::string default_name() const { return default_name_; }

  /// Unloads what is idle and past its time. Called by the registry's own thread; tests call it
  /// after moving the clock.
  void sweep();

  /// Takes no more requests and drains every engine at the same time (Engine::drain).
  void drain(double seconds);

  /// Loads and unloads so far, for metrics.
  uint64_t loads() const { return loads_; }
  uint64_t unloads() const { return unloads_; }

 private:
  enum class State { absent, loading, ready, unloading };
  struct Entry {
    ModelSource source;
    State state = State::absent;
    std::unique_ptr<Engine> engine;
    MemoryPlan plan;
    int64_t in_use = 0;
    std::optional<std::chrono::steady_clock::time_point> expires;
    std::chrono::steady_clock::time_point last_use{};
  };
  using Lock = std::unique_lock<std::mutex>;

  Entry* find(std::string_view name);
  Entry& find_or_throw(std::string_view name);
  void scan_folder();
  void load(Entry& entry, Lock& lock);
  void make_room(const Entry& entry, int64_t need, Lock& lock);
  void unload(Entry& entry, Lock& lock);
  ModelStatus status_of(const Entry& entry) const;
  void finish_use(const std::string& name, std::optional<double> keep_alive) noexcept;
  void watch();
  friend class ModelLease;

  const OpenModel open_;
  const RegistryOptions options_;
  std::string default_name_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry, std::less<>> entries_;
  bool draining_ = false, stopping_ = false;
  std::atomic<uint64_t> loads_ = 0, unloads_ = 0;
  std::thread watcher_;
};

}  // namespace weir
