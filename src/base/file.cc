#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace weir {
namespace {

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Opens a regular file for reading and gives its size. O_NONBLOCK keeps a FIFO from hanging.
int open_regular(const std::filesystem::path& path, uint64_t& size) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    if (error == ENOENT) fail(Code::not_found, "no such file: {}", path.string());
    fail(Code::io, "cannot open {}: {}", path.string(), std::strerror(error));
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    ::close(fd);
    fail(Code::io, "cannot stat {}: {}", path.string(), std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(fd);
    fail(Code::invalid_argument, "{} is {}, expected a regular file", path.string(),
         S_ISDIR(info.st_mode) ? "a directory" : "not a file on disk (device, pipe or socket)");
  }
  size = static_cast<uint64_t>(info.st_size);
  return fd;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  uint64_t size = 0;
  const Descriptor fd(open_regular(path, size));
  if (size == 0) return std::shared_ptr<const MappedFile>(new MappedFile(path, nullptr, 0));
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED)
    fail(Code::io, "cannot map {} ({} bytes): {}", path.string(), size, std::strerror(errno));
  // Where the file system can, the page cache then holds huge pages: loading from disk takes half
  // the time, and reading all weights once a token misses fewer address translations. No more than
  // a hint, so a refusal is no error.
  ::madvise(address, size, MADV_HUGEPAGE);
  return std::shared_ptr<const MappedFile>(
      new MappedFile(path, static_cast<const std::byte*>(address), size));
}

void MappedFile::check_intact() const {
  if (guard_.lost())
    fail(Code::io,
         "{} was cut short or can no longer be read while it was in use; restore it and load it "
         "again",
         path_.string());
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

std::string read_file(const std::filesystem::path& path, uint64_t limit) {
  uint64_t size = 0;
  const Descriptor fd(open_regular(path, size));
  if (size > limit)
    fail(Code::limit_exceeded, "{} has {} bytes, the limit is {}", path.string(), size, limit);
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd.get(), content.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(Code::io, "cannot read {}: {}", path.string(), std::strerror(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  content.resize(done);
  return content;
}

FileWriter::FileWriter(std::filesystem::path path)
    : path_(std::move(path)), temporary_(path_.string() + ".XXXXXX") {
  fd_ = ::mkstemp(temporary_.data());
  if (fd_ < 0)
    fail(Code::io, "cannot create a file beside {}: {}", path_.string(), std::strerror(errno));
}

FileWriter::~FileWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void FileWriter::append(std::span<const std::byte> bytes) {
  WEIR_CHECK(fd_ >= 0, "append after commit");
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail(Code::io, "cannot write {}: {}", path_.string(), std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void FileWriter::commit() {
  WEIR_CHECK(fd_ >= 0, "commit twice");
  if (::fchmod(fd_, 0644) != 0 || ::fsync(fd_) != 0)
    fail(Code::io, "cannot sync {}: {}", path_.string(), std::strerror(errno));
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    fail(Code::io, "cannot rename onto {}: {}", path_.string(), std::strerror(errno));
  ::close(fd_);
  fd_ = -1;
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  FileWriter writer(path);
  writer.append(std::as_bytes(std::span(content)));
  writer.commit();
}

}  // namespace weir
