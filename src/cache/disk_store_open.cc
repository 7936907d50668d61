// DiskStore: opening the folder, and reading pages.
#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "cache/disk_folder.h"
#include "cache/disk_store.h"

namespace weir {

struct DiskStore::Found {
  std::string name;
  uint64_t bytes = 0;
  int64_t modified_ns = 0;
  std::vector<SegmentEntry> entries;
};

/// 0, or minus an errno; -EPERM if the folder is not ours alone, -EWOULDBLOCK if it is in use.
int DiskStore::open_folder() {
  if (const int error = uninterrupted([&] { return io_.make_folders(options_.folder); }); error < 0)
    return error;
  {
    const OpenFile folder(
        io_, uninterrupted([&] { return io_.open(options_.folder, OpenMode::folder); }));
    if (folder.get() < 0) return folder.get();
    FileStatus status;
    if (const int error = uninterrupted([&] { return io_.status(folder.get(), status); });
        error < 0)
      return error;
    if (!status.mine || status.others_may_write) return -EPERM;
  }
  if (const int error = take_lock(); error < 0) return error;
  const int error = scan();
  if (error < 0) lock_file_.reset();
  return error;
}

int DiskStore::take_lock() {
  auto file = std::make_unique<OpenFile>(
      io_, uninterrupted([&] { return io_.open(options_.folder / kLockFile, OpenMode::lock); }));
  if (file->get() < 0) return file->get();
  if (const int error = uninterrupted([&] { return io_.lock(file->get()); }); error < 0)
    return error;
  lock_file_ = std::move(file);
  return 0;
}

/// Sweeps temporary files, deletes what is no segment of ours, and fills the index.
int DiskStore::scan() {
  std::vector<std::string> names;
  if (const int error = uninterrupted([&] { return io_.list(options_.folder, names); }); error < 0)
    return error;
  std::vector<Found> found;
  {
    const Lock lock(mutex_);
    index_.clear();
    undeleted_.clear();
  }
  for (const std::string& name : names) {
    const auto temporary = disk_file_number(name, kTemporaryEnding);
    const auto number = disk_file_number(name, kSegmentEnding);
    if (temporary) unlink_counted(name, 0);
    if (number) {
      if (const int error = scan_file(name, found); error < 0) return error;
    }
    const Lock lock(mutex_);
    next_number_ = std::max({next_number_, temporary.value_or(0) + 1, number.value_or(0) + 1});
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return std::tie(a.modified_ns, a.name) < std::tie(b.modified_ns, b.name);
  });
  {
    const Lock lock(mutex_);
    for (size_t i = 0; i < found.size(); ++i) {
      const Found& file = found[i];
      index_.add(file.name, file.bytes, file.entries,
                 static_cast<double>(i) / static_cast<double>(found.size()));
    }
  }
  return make_room(0);
}

/// Reads head and index of one file. An error only if it may be better later; a damaged file is
/// deleted.
int DiskStore::scan_file(const std::string& name, std::vector<Found>& found) {
  const OpenFile file(
      io_, uninterrupted([&] { return io_.open(options_.folder / name, OpenMode::read); }));
  if (file.get() == -ENOENT) return 0;
  const bool is_link = file.get() == -ELOOP;
  FileStatus status;
  int64_t result = is_link ? 0 : file.get();
  if (result >= 0 && !is_link)
    result = uninterrupted([&] { return io_.status(file.get(), status); });
  if (result >= 0 && !is_link && !status.is_file) return 0;  // a folder with such a name: not ours
  Found segment{name, status.bytes, status.modified_ns, {}};
  try {
    std::vector<std::byte> bytes(kSegmentHeadBytes);
    if (result >= 0 && !is_link) result = read_fully(io_, file.get(), 0, bytes);
    if (result >= 0) {
      bytes.resize(static_cast<size_t>(result));
      const uint64_t index_bytes = decode_segment_head(bytes, status.bytes);
      bytes.resize(kSegmentHeadBytes + index_bytes);
      result = read_fully(io_, file.get(), kSegmentHeadBytes,
                          std::span(bytes).subspan(kSegmentHeadBytes));
    }
    if (result >= 0) {
      bytes.resize(kSegmentHeadBytes + static_cast<size_t>(result));
      segment.entries = decode_segment_index(bytes, status.bytes);
      found.push_back(std::move(segment));
      return 0;
    }
  } catch (const Error&) {  // bad_format
    unlink_counted(name, status.bytes);
    const Lock lock(mutex_);
    ++counters_.corrupt;
    return 0;
  }
  if (result != -EIO) return static_cast<int>(result);
  unlink_counted(name, status.bytes);  // unreadable today, not worth a second try
  const Lock lock(mutex_);
  ++counters_.io_errors;
  return 0;
}

DiskStore::Read DiskStore::read_page(const DiskIndex::Place& place, std::string_view name,
                                     std::span<std::byte> page, int& error) {
  const auto file = open_segment(place.segment, error);
  if (file == nullptr) {
    if (error != -ENOENT) return Read::failed;
    // Evicted in this moment, or deleted by someone.
    const Lock lock(mutex_);
    index_.remove(place.segment);
    return Read::miss;
  }
  std::string found(name.size(), '\0');
  const auto name_bytes = std::as_writable_bytes(std::span(found));
  int64_t got = read_fully(io_, file->get(), place.entry.offset, name_bytes);
  if (got == static_cast<int64_t>(found.size())) {
    const int64_t rest = read_fully(io_, file->get(), place.entry.offset + found.size(), page);
    got = rest < 0 ? rest : got + rest;
  }
  if (got < 0) {
    error = static_cast<int>(got);
    return Read::failed;
  }
  if (static_cast<uint64_t>(got) != found.size() + page.size() ||
      page_checksum(place.entry.key, name_bytes, page) != place.entry.checksum)
    return Read::damaged;
  return found == name ? Read::ok : Read::miss;
}

/// Null with `error` set if it cannot be opened. The file stays readable after eviction.
std::shared_ptr<OpenFile> DiskStore::open_segment(const DiskIndex::SegmentPointer& segment,
                                                  int& error) {
  bool touch = false;
  {
    const Lock lock(mutex_);
    if (open_.segment.lock() == segment && open_.file != nullptr) return open_.file;
    touch = !std::exchange(segment->touched, true);
  }
  const int fd =
      uninterrupted([&] { return io_.open(options_.folder / segment->file, OpenMode::read); });
  if (fd < 0) {
    error = fd;
    return nullptr;
  }
  auto file = std::make_shared<OpenFile>(io_, fd);
  // The next start sees by the file's time what was used. Only a hint, so its failure is none.
  if (touch) io_.touch(fd);
  const Lock lock(mutex_);
  open_ = {segment, file};
  return file;
}

void DiskStore::discard(const DiskIndex::SegmentPointer& segment) {
  {
    const Lock lock(mutex_);
    if (!index_.remove(segment)) return;  // another thread was faster
    open_ = {};
  }
  unlink_counted(segment->file, segment->bytes);
}

}  // namespace weir
