// A disk in memory that remembers every change in order, and can say what might be left of it after
// the power was cut. The rules are the loosest that POSIX allows: what was not synced is lost or
// kept in any combination, data in blocks, changes of the folder one by one. One folder only.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file_io.h"

namespace weir::test {

class MemoryIo : public FileIo {
 public:
  using Files = std::map<std::string, std::string>;  // name -> content

  MemoryIo() = default;
  explicit MemoryIo(const Files& files) {
    for (const auto& [name, content] : files) {
      const int inode = new_inode();
      content_[inode] = content;
      names_[name] = inode;
    }
    start_ = names_;
    start_content_ = content_;
  }

  /// What lies there now.
  Files files() const {
    Files result;
    for (const auto& [name, inode] : names_) result[name] = content_.at(inode);
    return result;
  }

  size_t changes() const { return log_.size(); }

  /// What may be found after a power cut just after the first `count` changes.
  template <typename Random>
  Files after_power_cut(size_t count, Random& random) const {
    auto names = start_;
    auto content = start_content_;
    std::vector<const Change*> folder, data;  // not synced yet
    for (size_t i = 0; i < count; ++i) {
      const Change& change = log_[i];
      switch (change.kind) {
        case Kind::write:
          data.push_back(&change);
          break;
        case Kind::create:
        case Kind::rename:
        case Kind::unlink:
          folder.push_back(&change);
          break;
        case Kind::sync_file:
          std::erase_if(data, [&](const Change* write) {
            if (write->inode != change.inode) return false;
            put(content[write->inode], write->offset, write->bytes);
            return true;
          });
          break;
        case Kind::sync_folder:
          for (const Change* each : folder) apply(names, *each);
          folder.clear();
          break;
      }
    }
    const auto coin = [&random] { return (random() & 1) != 0; };
    for (const Change* each : folder)
      if (coin()) apply(names, *each);
    const size_t block = coin() ? 512 : 4096;
    for (const Change* write : data) {
      const bool grows = coin();  // the new size may be kept although the data is not
      if (grows) put(content[write->inode], write->offset + write->bytes.size(), "");
      for (size_t at = 0; at < write->bytes.size(); at += block)
        if (coin()) put(content[write->inode], write->offset + at, write->bytes.substr(at, block));
    }
    Files result;
    for (const auto& [name, inode] : names) result[name] = content[inode];
    return result;
  }

  int open(const std::filesystem::path& path, OpenMode mode) override {
    const std::lock_guard lock(mutex_);
    const int fd = next_fd_++;
    if (mode == OpenMode::folder) {
      open_[fd] = kFolder;
      return fd;
    }
    const std::string name = path.filename().string();
    const auto found = names_.find(name);
    if (mode == OpenMode::read && found == names_.end()) return -ENOENT;
    if (mode == OpenMode::create_new && found != names_.end()) return -EEXIST;
    if (found == names_.end()) {
      const int inode = new_inode();
      names_[name] = inode;
      log_.push_back({Kind::create, inode, name, {}, 0, {}});
    }
    open_[fd] = names_[name];
    return fd;
  }

  void close(int fd) override {
    const std::lock_guard lock(mutex_);
    if (locked_ == fd) locked_ = -1;
    open_.erase(fd);
  }

  int64_t read(int fd, uint64_t offset, std::span<std::byte> bytes) override {
    const std::lock_guard lock(mutex_);
    const std::string& content = content_[open_.at(fd)];
    if (offset >= content.size()) return 0;
    const size_t count = std::min<size_t>(bytes.size(), content.size() - offset);
    std::memcpy(bytes.data(), content.data() + offset, count);
    return static_cast<int64_t>(count);
  }

  int64_t write(int fd, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(mutex_);
    const int inode = open_.at(fd);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    log_.push_back({Kind::write, inode, {}, {}, content_[inode].size(), text});
    content_[inode] += text;
    return static_cast<int64_t>(bytes.size());
  }

  int sync(int fd) override {
    const std::lock_guard lock(mutex_);
    const int inode = open_.at(fd);
    log_.push_back({inode == kFolder ? Kind::sync_folder : Kind::sync_file, inode, {}, {}, 0, {}});
    return 0;
  }

  int touch(int) override { return 0; }

  int lock(int fd) override {
    const std::lock_guard lock(mutex_);
    if (locked_ >= 0) return -EWOULDBLOCK;
    locked_ = fd;
    return 0;
  }

  int status(int fd, FileStatus& status) override {
    const std::lock_guard lock(mutex_);
    const int inode = open_.at(fd);
    status.is_folder = inode == kFolder;
    status.is_file = !status.is_folder;
    status.mine = true;
    status.inode = static_cast<uint64_t>(inode);
    status.modified_ns = inode;
    if (status.is_file) status.bytes = content_[inode].size();
    return 0;
  }

  int rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(from.filename().string());
    if (found == names_.end()) return -ENOENT;
    const Change change{
        Kind::rename, found->second, from.filename().string(), to.filename().string(), 0, {}};
    apply(names_, change);
    log_.push_back(change);
    return 0;
  }

  int unlink(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(path.filename().string());
    if (found == names_.end()) return -ENOENT;
    const Change change{Kind::unlink, found->second, path.filename().string(), {}, 0, {}};
    apply(names_, change);
    log_.push_back(change);
    return 0;
  }

  int make_folders(const std::filesystem::path&) override { return 0; }

  int list(const std::filesystem::path&, std::vector<std::string>& names) override {
    const std::lock_guard lock(mutex_);
    names.clear();
    for (const auto& [name, inode] : names_) names.push_back(name);
    return 0;
  }

  int64_t free_bytes(const std::filesystem::path&) override { return int64_t{1} << 40; }

 private:
  static constexpr int kFolder = -1;
  enum class Kind { create, write, sync_file, rename, unlink, sync_folder };
  struct Change {
    Kind kind;
    int inode;
    std::string name, to;
    uint64_t offset;
    std::string bytes;
  };

  int new_inode() {
    content_[next_inode_];
    return next_inode_++;
  }

  static void put(std::string& content, uint64_t offset, const std::string& bytes) {
    if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size(), '\0');
    content.replace(offset, bytes.size(), bytes);
  }

  static void apply(std::map<std::string, int>& names, const Change& change) {
    if (change.kind == Kind::create) names[change.name] = change.inode;
    if (change.kind == Kind::unlink) names.erase(change.name);
    if (change.kind == Kind::rename) {
      names.erase(change.name);
      names[change.to] = change.inode;
    }
  }

  std::mutex mutex_;
  std::map<std::string, int> names_, start_;
  std::map<int, std::string> content_, start_content_;  // by inode
  std::map<int, int> open_;                             // fd -> inode
  std::vector<Change> log_;
  int next_inode_ = 1, next_fd_ = 3, locked_ = -1;
};

}  // namespace weir::test
