// DiskStore: the queue, the writing thread and eviction.
#include <algorithm>
#include <cerrno>
#include <new>

#include "cache/disk_folder.h"
#include "cache/disk_store.h"

namespace weir {

void DiskStore::run() {
  Lock lock(mutex_);
  while (true) {
    if (queue_.empty()) {
      hurry_ = false;
      if (ending_) return;
      changed_.wait(lock);
    } else if (queue_ready()) {
      write_queued(lock);
    } else {
      changed_.wait_until(lock, oldest_ + linger());
    }
  }
}

std::chrono::steady_clock::duration DiskStore::linger() const {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(options_.linger_seconds));
}

bool DiskStore::queue_ready() const {
  return hurry_ || ending_ || waiting_bytes_ >= options_.segment_bytes ||
         std::chrono::steady_clock::now() >= oldest_ + linger();
}

/// Takes a segment's worth from the queue and writes it. Whatever happens, those pages are then
/// either visible or dropped.
void DiskStore::write_queued(Lock& lock) {
  std::vector<Item> items;
  try {
    items.reserve(std::min<size_t>(queue_.size(), kMaxSegmentPages));
  } catch (const std::bad_alloc&) {  // one less to keep
    drop_first();
    return;
  }
  uint64_t bytes = kSegmentHeadBytes;
  writing_ = true;
  while (!queue_.empty() && items.size() < kMaxSegmentPages) {
    const uint64_t more = queue_.front().bytes.size() + kSegmentEntryBytes;
    if (!items.empty() && bytes + more > options_.segment_bytes) break;
    bytes += more;
    waiting_bytes_ -= queue_.front().bytes.size();
    writing_bytes_ += queue_.front().bytes.size();
    items.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  oldest_ = std::chrono::steady_clock::now();
  const bool open_first = !opened_;
  lock.unlock();
  int error = 0;
  try {
    if (open_first) error = open_folder();
    if (error == 0) error = write_segment(items);
  } catch (const std::bad_alloc&) {
    error = -ENOMEM;
  }
  lock.lock();
  if (open_first && lock_file_ != nullptr) opened_ = true;
  for (const Item& item : items) pending_.erase(item.key);
  writing_bytes_ = 0;
  writing_ = false;
  writes_stopped_ = error != 0;
  if (error == 0) {
    counters_.written += items.size();
    resume(lock);
  } else {
    counters_.dropped += items.size();
    stop(lock, error);
  }
  changed_.notify_all();
}

int DiskStore::write_segment(std::span<const Item> items) {
  std::vector<SegmentEntry> entries;
  for (const Item& item : items) {
    const auto name = std::span(item.bytes).first(item.name_bytes);
    const auto page = std::span(item.bytes).subspan(item.name_bytes);
    SegmentEntry entry;
    entry.key = item.key;
    entry.identity_bytes = item.name_bytes;
    entry.payload_bytes = page.size();
    entry.checksum = page_checksum(item.key, name, page);
    entries.push_back(entry);
  }
  const uint64_t bytes = segment_bytes(entries);
  const std::string head = encode_segment_head(entries);
  if (const int error = make_room(bytes); error < 0) return error;
  uint64_t number = 0;
  {
    const Lock lock(mutex_);
    number = next_number_++;
  }
  const std::string name = disk_file_name(number, kSegmentEnding);
  const std::string temporary = disk_file_name(number, kTemporaryEnding);
  if (const int error = write_file(temporary, head, items); error < 0) {
    if (error != -EEXIST) unlink_counted(temporary, bytes);
    return error;
  }
  const auto& folder_path = options_.folder;
  if (const int error =
          uninterrupted([&] { return io_.rename(folder_path / temporary, folder_path / name); });
      error < 0) {
    unlink_counted(temporary, bytes);
    return error;
  }
  const OpenFile folder(io_,
                        uninterrupted([&] { return io_.open(folder_path, OpenMode::folder); }));
  const int error =
      folder.get() < 0 ? folder.get() : uninterrupted([&] { return io_.sync(folder.get()); });
  if (error < 0) {  // whether the file is there after a power cut is unknown
    unlink_counted(name, bytes);
    return error;
  }
  try {
    const Lock lock(mutex_);
    index_.add(name, bytes, entries);
  } catch (const std::bad_alloc&) {  // a file that is in no list would never be deleted
    unlink_counted(name, bytes);
    throw;
  }
  return 0;
}

int DiskStore::write_file(const std::string& name, std::string_view head,
                          std::span<const Item> items) {
  const OpenFile file(
      io_, uninterrupted([&] { return io_.open(options_.folder / name, OpenMode::create_new); }));
  if (file.get() < 0) return file.get();
  if (const int error = write_fully(io_, file.get(), std::as_bytes(std::span(head))); error < 0)
    return error;
  for (const Item& item : items)
    if (const int error = write_fully(io_, file.get(), item.bytes); error < 0) return error;
  return uninterrupted([&] { return io_.sync(file.get()); });
}

/// Evicts until `bytes` more keep both bounds: ours, and what is to stay free on the disk.
int DiskStore::make_room(uint64_t bytes) {
  std::vector<std::pair<std::string, uint64_t>> again;
  {
    const Lock lock(mutex_);
    again.swap(undeleted_);
  }
  for (const auto& [name, size] : again) unlink_counted(name, size);
  while (true) {
    const int64_t free =
        bytes == 0 ? 0 : uninterrupted([&] { return io_.free_bytes(options_.folder); });
    if (free < 0) return static_cast<int>(free);
    const bool disk_full =
        bytes != 0 && static_cast<uint64_t>(free) < bytes + options_.keep_free_bytes;
    DiskIndex::SegmentPointer victim;
    {
      const Lock lock(mutex_);
      uint64_t ours = index_.bytes();
      for (const auto& file : undeleted_) ours += file.second;
      if (!disk_full && ours + bytes <= options_.max_bytes) return 0;
      victim = index_.victim();
      if (victim == nullptr) return -ENOSPC;
      index_.remove(victim);
      counters_.evicted += victim->keys.size();
      if (open_.segment.lock() == victim) open_ = {};  // an open file keeps its bytes
    }
    unlink_counted(victim->file, victim->bytes);
  }
}

/// What cannot be deleted still counts against the bound, and is tried again before each write.
void DiskStore::unlink_counted(const std::string& name, uint64_t bytes) {
  const int error = uninterrupted([&] { return io_.unlink(options_.folder / name); });
  if (error == 0 || error == -ENOENT) return;
  const Lock lock(mutex_);
  ++counters_.io_errors;
  undeleted_.emplace_back(name, bytes);
}

void DiskStore::drop_first() {
  pending_.erase(queue_.front().key);
  waiting_bytes_ -= queue_.front().bytes.size();
  ++counters_.dropped;
  queue_.pop_front();
  changed_.notify_all();
}

void DiskStore::drop_queue() {
  for (const Item& item : queue_) pending_.erase(item.key);
  counters_.dropped += queue_.size();
  queue_.clear();
  waiting_bytes_ = 0;
}

}  // namespace weir
