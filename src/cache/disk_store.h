// KV pages on disk that survive restarts: content-addressed, checksummed, bounded in bytes. Owns
// one folder, its lock and a thread that writes. A page is visible once its segment file is synced
// and renamed. Nothing here fails a request: a page that cannot be given back whole is a miss, and
// when the disk refuses, the store stops, says so once and tries again later. Files in the folder
// that do not have the store's names are left alone.
//
// Pages are personal data at rest: the folder has mode 0700, and one that others may write to is
// refused.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/file_io.h"
#include "cache/disk_index.h"
#include "cache/page_store.h"

namespace weir {

struct DiskStoreOptions {
  std::filesystem::path folder;
  uint64_t max_bytes = uint64_t{4} << 30;          // of all segment files together
  uint64_t segment_bytes = uint64_t{32} << 20;     // pages written together, about
  uint64_t queue_bytes = uint64_t{64} << 20;       // waiting to be written; more are dropped
  uint64_t keep_free_bytes = uint64_t{256} << 20;  // of the disk, for everyone else
  double linger_seconds = 0.5;  // how long a page waits for others to be written with
  double retry_seconds = 30;    // pause after the disk refused
  bool background = true;       // false: written by flush(), on the caller's thread
  /// Told once when the store stops (working = false) and once when it works again. Called on any
  /// thread of the store's users or its own; must neither throw nor call the store.
  std::function<void(bool working, const std::string& text)> notice;
  std::function<double()> now;  // steady seconds; empty: the machine's clock
  FileIo* io = nullptr;         // null: the real one
};

struct DiskCounters {
  uint64_t pages = 0, segments = 0, bytes = 0;  // on disk and visible
  uint64_t hits = 0, misses = 0;                // of get()
  uint64_t written = 0;                         // pages
  uint64_t dropped = 0;                         // pages never written: full queue, or stopped
  uint64_t evicted = 0;                         // pages removed to keep the bound
  uint64_t corrupt = 0;                         // files refused and deleted
  uint64_t io_errors = 0;
  uint64_t queued_bytes = 0;
  bool working = false;
};

/// Safe to use from several threads.
class DiskStore {
 public:
  /// Opens the folder and reads the heads of what is there. Never throws for what the disk does;
  /// see DiskCounters::working.
  explicit DiskStore(DiskStoreOptions options);
  ~DiskStore();  // writes what is queued
  DiskStore(const DiskStore&) = delete;
  DiskStore& operator=(const DiskStore&) = delete;

  /// Fills `page` and returns true if the page of that key is here, has that very name (page_name()
  /// of page_identity.h; `key` is its hash) and is whole. Else false, and the content of `page` is
  /// undefined.
  bool get(const PageKey& key, std::string_view name, std::span<std::byte> page);

  /// Keeps a copy unless the key is here already, the queue is full or the store has stopped.
  void put(const PageKey& key, std::string_view name, std::span<const std::byte> page);

  /// Returns when everything that was put is on disk or dropped.
  void flush();

  DiskCounters counters() const;

 private:
  struct Item {
    PageKey key;
    uint32_t name_bytes = 0;
    std::vector<std::byte> bytes;  // name, then page
  };
  struct KeyHash {
    size_t operator()(const PageKey& key) const;
  };
  using Lock = std::unique_lock<std::mutex>;
  struct OpenSegment {
    std::weak_ptr<DiskSegment> segment;
    std::shared_ptr<OpenFile> file;
  };

  // Opening: at the start, and again by the writer after a failure.
  int open_folder();
  int take_lock();
  int scan();
  struct Found;
  int scan_file(const std::string& name, std::vector<Found>& found);

  // Reading.
  enum class Read { ok, miss, damaged, failed };
  Read read_page(const DiskIndex::Place& place, std::string_view name, std::span<std::byte> page,
                 int& error);
  std::shared_ptr<OpenFile> open_segment(const DiskIndex::SegmentPointer& segment, int& error);
  void discard(const DiskIndex::SegmentPointer& segment);

  // Writing.
  void run();  // the body of writer_
  bool queue_ready() const;
  std::chrono::steady_clock::duration linger() const;
  void write_queued(Lock& lock);  // one segment; unlocks while it writes
  int write_segment(std::span<const Item> items);
  int write_file(const std::string& name, std::string_view head, std::span<const Item> items);
  int make_room(uint64_t bytes);
  void unlink_counted(const std::string& name, uint64_t bytes);
  void drop_queue();
  void drop_first();

  void stop(Lock& lock, int error);
  void resume(Lock& lock);
  std::string news(int error) const;
  void tell(Lock& lock, int error) noexcept;  // the notice; 0: works again
  bool pausing() const { return options_.now() < retry_at_; }

  DiskStoreOptions options_;
  FileIo& io_;

  mutable std::mutex mutex_;  // of everything below
  std::condition_variable changed_;
  DiskIndex index_;
  OpenSegment open_;                                         // the last one read from
  std::deque<Item> queue_;                                   // not yet being written
  std::unordered_set<PageKey, KeyHash> pending_;             // queued or being written
  std::vector<std::pair<std::string, uint64_t>> undeleted_;  // files that unlink() refused
  uint64_t waiting_bytes_ = 0;                               // in queue_
  uint64_t writing_bytes_ = 0;                               // taken from it
  uint64_t next_number_ = 1;                                 // of segment files
  double retry_at_ = 0;                                      // while something is stopped
  std::chrono::steady_clock::time_point oldest_;             // when the first of queue_ came
  bool opened_ = false, reads_stopped_ = false, writes_stopped_ = false;
  bool told_ = false;  // that it stopped
  bool writing_ = false, hurry_ = false, ending_ = false;
  DiskCounters counters_;
  std::unique_ptr<OpenFile> lock_file_;  // held while opened_
  std::thread writer_;
};

}  // namespace weir
