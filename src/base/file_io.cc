#include "base/file_io.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/checked.h"

namespace weir {
namespace {

int result_of(int result) { return result < 0 ? -errno : result; }

class RealFileIo final : public FileIo {
 public:
  int open(const std::filesystem::path& path, OpenMode mode) override {
    // O_NONBLOCK keeps a FIFO that someone put there from hanging the process.
    int flags = O_CLOEXEC | O_NONBLOCK;
    switch (mode) {
      case OpenMode::read:
        flags |= O_RDONLY | O_NOFOLLOW;
        break;
      case OpenMode::create_new:
        flags |= O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
        break;
      case OpenMode::lock:
        flags |= O_RDWR | O_CREAT | O_NOFOLLOW;
        break;
      case OpenMode::folder:
        flags |= O_RDONLY | O_DIRECTORY;
        break;
    }
    return result_of(::open(path.c_str(), flags, 0600));
  }

  void close(int fd) override { ::close(fd); }

  int64_t read(int fd, uint64_t offset, std::span<std::byte> bytes) override {
    const auto at = checked_cast<off_t>(offset);
    if (!at) return -EOVERFLOW;
    const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), *at);
    return got < 0 ? -errno : got;
  }

  int64_t write(int fd, std::span<const std::byte> bytes) override {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    return put < 0 ? -errno : put;
  }

  int sync(int fd) override { return result_of(::fsync(fd)); }
  int touch(int fd) override { return result_of(::futimens(fd, nullptr)); }
  int lock(int fd) override { return result_of(::flock(fd, LOCK_EX | LOCK_NB)); }

  int status(int fd, FileStatus& status) override {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return -errno;
    status.is_file = S_ISREG(info.st_mode);
    status.is_folder = S_ISDIR(info.st_mode);
    status.mine = info.st_uid == ::geteuid();
    status.others_may_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    status.bytes = static_cast<uint64_t>(std::max<off_t>(info.st_size, 0));
    status.inode = info.st_ino;
    status.modified_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    status.changed_ns = int64_t{info.st_ctim.tv_sec} * 1'000'000'000 + info.st_ctim.tv_nsec;
    return 0;
  }

  int rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return result_of(::rename(from.c_str(), to.c_str()));
  }

  int unlink(const std::filesystem::path& path) override {
    return result_of(::unlink(path.c_str()));
  }

  int make_folders(const std::filesystem::path& path) override {
    std::filesystem::path part;
    for (const auto& name : path) {
      part /= name;
      if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
        const int error = errno;
        struct stat info {};
        // mkdir of an existing folder may say EROFS or EACCES instead.
        if (::stat(part.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return -error;
      }
    }
    return 0;
  }

  int list(const std::filesystem::path& folder, std::vector<std::string>& names) override {
    names.clear();
    DIR* handle = ::opendir(folder.c_str());
    if (handle == nullptr) return -errno;
    errno = 0;
    while (const dirent* entry = ::readdir(handle)) {
      names.emplace_back(entry->d_name);
      errno = 0;
    }
    const int error = errno;
    ::closedir(handle);
    std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
    return -error;
  }

  int64_t free_bytes(const std::filesystem::path& folder) override {
    struct statvfs info {};
    if (::statvfs(folder.c_str(), &info) != 0) return -errno;
    const auto bytes = checked_mul<uint64_t>(info.f_bavail, info.f_frsize);
    const auto most = std::numeric_limits<int64_t>::max();
    return bytes ? checked_cast<int64_t>(*bytes).value_or(most) : most;
  }
};

}  // namespace

FileIo& real_file_io() {
  static RealFileIo io;
  return io;
}

int64_t read_fully(FileIo& io, int fd, uint64_t offset, std::span<std::byte> bytes) {
  uint64_t done = 0;
  while (done < bytes.size()) {
    const int64_t got =
        uninterrupted([&] { return io.read(fd, offset + done, bytes.subspan(done)); });
    if (got < 0) return got;
    if (got == 0) break;
    done += static_cast<uint64_t>(got);
  }
  return static_cast<int64_t>(done);
}

int write_fully(FileIo& io, int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const int64_t put = uninterrupted([&] { return io.write(fd, bytes); });
    if (put < 0) return static_cast<int>(put);
    if (put == 0) return -ENOSPC;  // POSIX leaves this open; no progress means no room
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return 0;
}

}  // namespace weir
