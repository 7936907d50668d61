#include "engine/registry.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"

namespace weir {
namespace {

namespace fs = std::filesystem;
using std::chrono::duration;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kWatchPause{1};
constexpr size_t kMostFolderModels = 4096;

bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > 256 || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c < 0x80 &&
           (std::isalnum(c) != 0 ||
            std::string_view("._-:@+").find(static_cast<char>(c)) != std::string_view::npos);
  });
}

steady_clock::duration seconds(double value) {
  return std::chrono::duration_cast<steady_clock::duration>(duration<double>(value));
}

std::string gigabytes(int64_t bytes) {
  const auto b = static_cast<double>(bytes);
  return b < 1e9 ? fmt::format("{:.1f} MB", b / 1e6) : fmt::format("{:.2f} GB", b / 1e9);
}

}  // namespace

ModelLease& ModelLease::operator=(ModelLease&& other) noexcept {
  if (this == &other) return *this;
  release();
  registry_ = std::exchange(other.registry_, nullptr);
  engine_ = std::exchange(other.engine_, nullptr);
  name_ = std::move(other.name_);
  keep_alive_ = other.keep_alive_;
  return *this;
}

void ModelLease::release() noexcept {
  if (registry_ != nullptr) registry_->finish_use(name_, keep_alive_);
  registry_ = nullptr;
  engine_ = nullptr;
}

ModelRegistry::ModelRegistry(std::vector<ModelSource> sources, OpenModel open,
                             RegistryOptions options)
    : open_(std::move(open)), options_(std::move(options)) {
  for (ModelSource& source : sources) {
    if (!is_plain_name(source.name))
      fail(Code::invalid_argument,
           "'{}' is no name for a model: use letters, digits and ._-:@+ only", source.name);
    if (default_name_.empty()) default_name_ = source.name;
    Entry entry;
    entry.source = source;
    const std::string name = source.name;
    if (!entries_.try_emplace(name, std::move(entry)).second)
      fail(Code::invalid_argument, "two models are named '{}'; give other names with NAME=PATH",
           name);
  }
  scan_folder();
  if (default_name_.empty() && !entries_.empty()) default_name_ = entries_.begin()->first;
  watcher_ = std::thread([this] { watch(); });
}

ModelRegistry::~ModelRegistry() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  watcher_.join();
}

/// Names stand for files only through this index, so no name can reach another file.
void ModelRegistry::scan_folder() {
  if (options_.folder.empty()) return;
  std::error_code error;
  const fs::path root = fs::canonical(options_.folder, error);
  if (error || !fs::is_directory(root))
    fail(Code::not_found, "the models folder {} is not there", options_.folder.string());
  size_t seen = 0;
  for (const auto& item : fs::directory_iterator(root, error)) {
    if (++seen > kMostFolderModels) break;
    std::error_code ignored;
    const fs::path path = fs::canonical(item.path(), ignored);
    if (ignored || path.parent_path() != root) continue;  // links that lead out
    const bool gguf = path.extension() == ".gguf" && fs::is_regular_file(path, ignored);
    const bool folder =
        fs::is_directory(path, ignored) && fs::exists(path / "config.json", ignored);
    if (!gguf && !folder) continue;
    const std::string name = gguf ? path.stem().string() : path.filename().string();
    if (!is_plain_name(name)) continue;
    Entry entry;
    entry.source = {name, path, false};
    entries_.try_emplace(name, std::move(entry));
  }
}

ModelRegistry::Entry* ModelRegistry::find(std::string_view name) {
  if (name.empty()) name = default_name_;
  auto found = entries_.find(name);
  constexpr std::string_view kLatest = ":latest";
  if (found == entries_.end() && name.ends_with(kLatest))
    found = entries_.find(name.substr(0, name.size() - kLatest.size()));
  return found == entries_.end() ? nullptr : &found->second;
}

ModelRegistry::Entry& ModelRegistry::find_or_throw(std::string_view name) {
  Entry* entry = find(name);
  if (entry == nullptr && is_plain_name(name)) {
    scan_folder();  // a file may be new
    entry = find(name);
  }
  if (entry != nullptr) return *entry;
  std::vector<std::string> names;
  for (const auto& [known, unused] : entries_)
    if (names.size() < 20) names.push_back(known);
  fail(Code::not_found, "there is no model '{}'; models here are: {}",
       is_plain_name(name) ? name : "(not a plain name)", fmt::join(names, ", "));
}

void ModelRegistry::check_room() {
  const std::lock_guard lock(mutex_);
  if (entries_.size() != 1 || !options_.folder.empty()) return;
  const Entry& entry = entries_.begin()->second;
  if (entry.state == State::ready) entry.engine->check_room();
}

bool ModelRegistry::knows(std::string_view name) {
  const std::lock_guard lock(mutex_);
  return find(name) != nullptr;
}

ModelLease ModelRegistry::acquire(std::string_view name) {
  Lock lock(mutex_);
  Entry& entry = find_or_throw(name);
  while (true) {
    if (draining_ || stopping_)
      fail(Code::unavailable, "the server is shutting down and takes no more requests");
    if (entry.state == State::ready) break;
    if (entry.state == State::absent)
      load(entry, lock);
    else
      changed_.wait(lock);
  }
  ++entry.in_use;
  entry.last_use = options_.now();
  ModelLease lease;
  lease.registry_ = this;
  lease.engine_ = entry.engine.get();
  lease.name_ = entry.source.name;
  return lease;
}

void ModelRegistry::load(Entry& entry, Lock& lock) {
  entry.state = State::loading;
  entry.plan = {};
  const ModelSource source = entry.source;
  std::unique_ptr<Engine> engine;
  try {
    lock.unlock();
    const PlannedModel planned = open_(source);
    lock.lock();
    make_room(entry, planned.plan.total(), lock);
    entry.plan = planned.plan;
    lock.unlock();
    engine = planned.start();
    lock.lock();
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    entry.state = State::absent;
    entry.plan = {};
    changed_.notify_all();
    throw;
  }
  entry.engine = std::move(engine);
  entry.state = State::ready;
  entry.expires.reset();
  ++loads_;
  changed_.notify_all();
}

/// Unloads idle models, the least recently used first, until `need` bytes are free.
void ModelRegistry::make_room(const Entry& entry, int64_t need, Lock& lock) {
  if (options_.memory_bytes == 0) return;
  while (true) {
    int64_t used = 0;
    Entry* victim = nullptr;
    bool wait = false, others = false;
    for (auto& [name, other] : entries_) {
      if (&other == &entry || other.state == State::absent) continue;
      used += other.plan.total();
      wait = wait || other.state == State::unloading;
      others = others || (!other.source.pinned && other.plan.total() > 0);
      if (other.state != State::ready || other.source.pinned || other.in_use > 0) continue;
      if (victim == nullptr || other.last_use < victim->last_use) victim = &other;
    }
    if (need <= options_.memory_bytes - used) return;
    if (wait) {
      changed_.wait(lock);
    } else if (victim != nullptr) {
      unload(*victim, lock);
    } else {
      fail(others ? Code::unavailable : Code::limit_exceeded,
           "model '{}' needs {}, but {} of the {} that --memory allows are in use by other models",
           entry.source.name, gigabytes(need), gigabytes(used), gigabytes(options_.memory_bytes));
    }
  }
}

void ModelRegistry::unload(Entry& entry, Lock& lock) {
  entry.state = State::unloading;
  std::unique_ptr<Engine> engine = std::move(entry.engine);
  lock.unlock();
  engine.reset();  // joins its thread
  lock.lock();
  entry.state = State::absent;
  entry.plan = {};
  ++unloads_;
  changed_.notify_all();
}

void ModelRegistry::finish_use(const std::string& name, std::optional<double> keep_alive) noexcept {
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_.find(name)->second;
    --entry.in_use;
    const auto now = options_.now();
    entry.last_use = now;
    const double keep = keep_alive.value_or(options_.keep_alive_seconds);
    if (keep < 0 || entry.source.pinned)
      entry.expires.reset();
    else
      entry.expires = now + seconds(keep);
  }
  changed_.notify_all();
}

void ModelRegistry::sweep() {
  Lock lock(mutex_);
  const auto now = options_.now();
  for (auto& [name, entry] : entries_)
    if (entry.state == State::ready && entry.in_use == 0 && entry.expires && *entry.expires <= now)
      unload(entry, lock);
}

void ModelRegistry::watch() {
  Lock lock(mutex_);
  while (!stopping_) {
    changed_.wait_for(lock, kWatchPause);
    if (stopping_) return;
    lock.unlock();
    sweep();
    lock.lock();
  }
}

ModelStatus ModelRegistry::status_of(const Entry& entry) const {
  ModelStatus status;
  status.name = entry.source.name;
  status.path = entry.source.path;
  status.pinned = entry.source.pinned;
  status.loaded = entry.state == State::ready;
  status.in_use = entry.in_use;
  if (!status.loaded) return status;
  status.plan = entry.plan;
  status.capabilities = entry.engine->capabilities();
  if (entry.expires && entry.in_use == 0)
    status.expires_in = std::max(0.0, duration<double>(*entry.expires - options_.now()).count());
  return status;
}

std::vector<ModelStatus> ModelRegistry::list() {
  const std::lock_guard lock(mutex_);
  scan_folder();
  std::vector<ModelStatus> all;
  for (const auto& [name, entry] : entries_) all.push_back(status_of(entry));
  return all;
}

std::optional<ModelStatus> ModelRegistry::status(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const Entry* entry = find(name);
  if (entry == nullptr) return std::nullopt;
  return status_of(*entry);
}

std::vector<std::pair<std::string, EngineCounters>> ModelRegistry::counters() {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, EngineCounters>> all;
  for (const auto& [name, entry] : entries_)
    if (entry.state == State::ready) all.emplace_back(name, entry.engine->counters());
  return all;
}

void ModelRegistry::drain(double seconds_each) {
  std::vector<Engine*> engines;
  {
    Lock lock(mutex_);
    draining_ = true;
    for (auto& [name, entry] : entries_) {
      if (entry.state != State::ready) continue;
      ++entry.in_use;  // stays while it drains; nobody sweeps it
      engines.push_back(entry.engine.get());
    }
  }
  changed_.notify_all();
  std::vector<std::thread> threads;
  for (Engine* engine : engines)
    threads.emplace_back([engine, seconds_each] { engine->drain(seconds_each); });
  for (std::thread& thread : threads) thread.join();
  const std::lock_guard lock(mutex_);
  for (auto& [name, entry] : entries_)
    if (entry.state == State::ready &&
        std::find(engines.begin(), engines.end(), entry.engine.get()) != engines.end())
      --entry.in_use;
}

}  // namespace weir
