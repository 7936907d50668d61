#include "cache/disk_store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "base/error.h"

namespace weir {

// Any eight bytes of a SHA-256 value are spread evenly.
size_t DiskStore::KeyHash::operator()(const PageKey& key) const {
  size_t hash = 0;
  std::memcpy(&hash, key.data(), sizeof(hash));
  return hash;
}

DiskStore::DiskStore(DiskStoreOptions options)
    : options_(std::move(options)), io_(options_.io != nullptr ? *options_.io : real_file_io()) {
  if (!options_.now) {
    options_.now = [] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
    };
  }
  // Small bounds still hold several segments, so that eviction does not empty the store.
  options_.segment_bytes = std::min(options_.segment_bytes, options_.max_bytes / 4);
  const int error = open_folder();
  Lock lock(mutex_);
  opened_ = error == 0;
  if (error != 0) stop(lock, error);
  if (options_.background) writer_ = std::thread([this] { run(); });
}

DiskStore::~DiskStore() {
  if (!writer_.joinable()) {
    flush();
    return;
  }
  {
    const Lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  writer_.join();
}

bool DiskStore::get(const PageKey& key, std::string_view name, std::span<std::byte> page) {
  Lock lock(mutex_);
  const bool readable = opened_ && !(reads_stopped_ && pausing());
  const DiskIndex::Place* found = readable ? index_.find(key) : nullptr;
  if (found == nullptr || found->entry.identity_bytes != name.size() ||
      found->entry.payload_bytes != page.size()) {
    ++counters_.misses;
    return false;
  }
  const DiskIndex::Place place = *found;
  lock.unlock();
  int error = 0;
  const Read result = read_page(place, name, page, error);
  if (result == Read::damaged || error == -EIO) discard(place.segment);
  lock.lock();
  if (result == Read::ok) {
    ++counters_.hits;
    index_.hit(*place.segment);
    reads_stopped_ = false;
    resume(lock);
    return true;
  }
  ++counters_.misses;
  if (result == Read::damaged) ++counters_.corrupt;
  if (result == Read::failed) {
    reads_stopped_ = true;
    stop(lock, error);
  }
  return false;
}

void DiskStore::put(const PageKey& key, std::string_view name, std::span<const std::byte> page) {
  const uint64_t bytes = name.size() + page.size();
  const uint64_t with_head = bytes + kSegmentHeadBytes + kSegmentEntryBytes;
  const bool possible = name.size() <= kMaxIdentityBytes && page.size() <= kMaxPageBytes &&
                        with_head <= options_.max_bytes;
  Lock lock(mutex_);
  if (index_.find(key) != nullptr || pending_.contains(key)) return;
  const bool stopped = (!opened_ || reads_stopped_ || writes_stopped_) && pausing();
  const bool full = waiting_bytes_ + writing_bytes_ + bytes > options_.queue_bytes;
  if (!possible || stopped || full || ending_) {
    ++counters_.dropped;
    return;
  }
  try {
    Item item{key, static_cast<uint32_t>(name.size()), {}};
    item.bytes.reserve(bytes);
    const auto name_bytes = std::as_bytes(std::span(name));
    item.bytes.insert(item.bytes.end(), name_bytes.begin(), name_bytes.end());
    item.bytes.insert(item.bytes.end(), page.begin(), page.end());
    pending_.insert(key);
    if (queue_.empty()) oldest_ = std::chrono::steady_clock::now();
    queue_.push_back(std::move(item));
  } catch (const std::bad_alloc&) {
    pending_.erase(key);
    ++counters_.dropped;
    return;
  }
  const bool was_ready = queue_ready();
  waiting_bytes_ += bytes;
  if (queue_.size() == 1 || (!was_ready && queue_ready())) changed_.notify_all();
}

void DiskStore::flush() {
  Lock lock(mutex_);
  if (!writer_.joinable()) {
    changed_.wait(lock, [this] { return !writing_; });
    while (!queue_.empty()) write_queued(lock);
    return;
  }
  hurry_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return queue_.empty() && !writing_; });
}

DiskCounters DiskStore::counters() const {
  const Lock lock(mutex_);
  DiskCounters result = counters_;
  result.pages = index_.pages();
  result.segments = index_.segments();
  result.bytes = index_.bytes();
  result.queued_bytes = waiting_bytes_ + writing_bytes_;
  result.working = opened_ && !reads_stopped_ && !writes_stopped_;
  return result;
}

/// Stops for a while and says so, if it was working until now.
void DiskStore::stop(Lock& lock, int error) {
  ++counters_.io_errors;
  retry_at_ = options_.now() + options_.retry_seconds;
  drop_queue();
  if (!std::exchange(told_, true)) tell(lock, error);
}

std::string DiskStore::news(int error) const {
  const std::string folder = options_.folder.string();
  if (error == 0) return fmt::format("the prefix cache {} works again", folder);
  if (error == -EWOULDBLOCK)
    return fmt::format("the prefix cache {} is in use by another process; going on without it",
                       folder);
  if (error == -EPERM)
    return fmt::format(
        "the prefix cache {} belongs to another user or others may write to it; going on without "
        "it. Make it yours alone (chmod 700) or choose another folder",
        folder);
  return fmt::format("the prefix cache {} stopped: {}; going on without it, next try in {:.0f} s",
                     folder, std::strerror(-error), options_.retry_seconds);
}

void DiskStore::tell(Lock& lock, int error) noexcept {
  if (!options_.notice) return;
  lock.unlock();
  try {
    options_.notice(error == 0, news(error));
  } catch (const std::bad_alloc&) {  // nobody hears of it; the counters say it
  }
  lock.lock();
}

/// Says that it works again, if it was said that it does not.
void DiskStore::resume(Lock& lock) {
  if (!opened_ || reads_stopped_ || writes_stopped_ || !told_) return;
  told_ = false;
  tell(lock, 0);
}

}  // namespace weir
