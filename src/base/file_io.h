// The few file calls that a cache on disk makes, behind an interface, so that tests can fail each
// of them and cut the power between any two. Results are numbers as the kernel gives them: >= 0, or
// minus an errno; nothing here throws. Refuses formats and policy.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace weir {

enum class OpenMode {
  read,        // an existing file; the last part of the path must not be a link
  create_new,  // a file that does not exist yet, for writing; mode 0600
  lock,        // for lock(); made if it does not exist
  folder,      // for sync()
};

struct FileStatus {
  bool is_file = false, is_folder = false;
  bool mine = false;              // owned by this process's user
  bool others_may_write = false;  // group or world
  uint64_t bytes = 0, inode = 0;
  int64_t modified_ns = 0;  // since 1970
  int64_t changed_ns = 0;   // of content or status; cannot be set
};

class FileIo {
 public:
  virtual ~FileIo() = default;

  virtual int open(const std::filesystem::path& path, OpenMode mode) = 0;  // gives a descriptor
  virtual void close(int fd) = 0;
  virtual int64_t read(int fd, uint64_t offset, std::span<std::byte> bytes) = 0;  // 0: the end
  virtual int64_t write(int fd, std::span<const std::byte> bytes) = 0;            // at the end
  virtual int sync(int fd) = 0;                                                   // to the medium
  virtual int touch(int fd) = 0;                                                  // modified now
  virtual int lock(int fd) = 0;  // -EWOULDBLOCK if another open file holds it; until close()
  virtual int status(int fd, FileStatus& status) = 0;
  virtual int rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  virtual int unlink(const std::filesystem::path& path) = 0;
  virtual int make_folders(const std::filesystem::path& path) = 0;  // with parents, mode 0700
  virtual int list(const std::filesystem::path& folder, std::vector<std::string>& names) = 0;
  virtual int64_t free_bytes(const std::filesystem::path& folder) = 0;  // for this user
};

/// The kernel's own calls.
FileIo& real_file_io();

/// A descriptor that closes itself.
class OpenFile {
 public:
  OpenFile(FileIo& io, int fd) : io_(&io), fd_(fd) {}
  ~OpenFile() {
    if (fd_ >= 0) io_->close(fd_);
  }
  OpenFile(OpenFile&& other) noexcept : io_(other.io_), fd_(std::exchange(other.fd_, -1)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(io_, other.io_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  FileIo* io_;
  int fd_;
};

/// The result of `call`, made again while a signal interrupts it. -EINTR if that never ends.
template <typename Call>
auto uninterrupted(Call&& call) {
  auto result = call();
  for (int i = 0; result == -EINTR && i < 1000; ++i) result = call();
  return result;
}

/// Bytes read, in as many calls as it takes: fewer than asked only at the end of the file.
int64_t read_fully(FileIo& io, int fd, uint64_t offset, std::span<std::byte> bytes);

/// 0 when all is written, in as many calls as it takes.
int write_fully(FileIo& io, int fd, std::span<const std::byte> bytes);

}  // namespace weir
