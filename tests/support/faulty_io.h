// A FileIo that passes calls on and fails chosen ones: the k-th from now, or all from then on.
#pragma once

#include <atomic>
#include <cerrno>
#include <limits>
#include <string>
#include <vector>

#include "base/file_io.h"

namespace weir::test {

class FaultyIo : public FileIo {
 public:
  explicit FaultyIo(FileIo& inner) : inner_(&inner) {}

  /// The k-th call from now (1 is the next) gives -error; with error 0 it reads or writes half.
  void fail(int64_t k, int error, bool and_all_after = false) {
    error_ = error;
    for_good_ = and_all_after;
    left_ = k;
  }
  void heal() { left_ = kNever; }
  bool failed() const { return left_ <= 0; }

  int open(const std::filesystem::path& path, OpenMode mode) override {
    const int error = next();
    return error < 0 ? error : inner_->open(path, mode);
  }
  void close(int fd) override { inner_->close(fd); }
  int64_t read(int fd, uint64_t offset, std::span<std::byte> bytes) override {
    const int error = next();
    if (error < 0) return error;
    return inner_->read(fd, offset, error == kHalf ? bytes.first((bytes.size() + 1) / 2) : bytes);
  }
  int64_t write(int fd, std::span<const std::byte> bytes) override {
    const int error = next();
    if (error < 0) {
      // A disk that is full takes what still fits.
      if (error != -EINTR) inner_->write(fd, bytes.first(bytes.size() / 2));
      return error;
    }
    return inner_->write(fd, error == kHalf ? bytes.first((bytes.size() + 1) / 2) : bytes);
  }
  int sync(int fd) override {
    const int error = next();
    return error < 0 ? error : inner_->sync(fd);
  }
  int touch(int fd) override {
    const int error = next();
    return error < 0 ? error : inner_->touch(fd);
  }
  int lock(int fd) override {
    const int error = next();
    return error < 0 ? error : inner_->lock(fd);
  }
  int status(int fd, FileStatus& status) override {
    const int error = next();
    return error < 0 ? error : inner_->status(fd, status);
  }
  int rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    const int error = next();
    return error < 0 ? error : inner_->rename(from, to);
  }
  int unlink(const std::filesystem::path& path) override {
    const int error = next();
    return error < 0 ? error : inner_->unlink(path);
  }
  int make_folders(const std::filesystem::path& path) override {
    const int error = next();
    return error < 0 ? error : inner_->make_folders(path);
  }
  int list(const std::filesystem::path& folder, std::vector<std::string>& names) override {
    const int error = next();
    return error < 0 ? error : inner_->list(folder, names);
  }
  int64_t free_bytes(const std::filesystem::path& folder) override {
    const int error = next();
    return error < 0 ? error : inner_->free_bytes(folder);
  }

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  static constexpr int kHalf = 1;

  int next() {
    if (left_ == kNever) return 0;
    const int64_t left = --left_;
    if (left > 0 || (left < 0 && !for_good_)) return 0;
    return error_ == 0 ? kHalf : -error_;
  }

  FileIo* inner_;
  std::atomic<int64_t> left_{kNever};
  std::atomic<int> error_{0};
  std::atomic<bool> for_good_{false};
};

}  // namespace weir::test
