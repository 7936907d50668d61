#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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
  return std::shared_ptr<const MappedFile>(
      new MappedFile(path, static_cast<const std::byte*>(address), size));
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

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  std::string temporary = path.string() + ".XXXXXX";
  const int raw = ::mkstemp(temporary.data());
  if (raw < 0)
    fail(Code::io, "cannot create a file beside {}: {}", path.string(), std::strerror(errno));
  const auto give_up = [&](const char* step) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail(Code::io, "cannot {} {}: {}", step, path.string(), std::strerror(error));
  };
  {
    const Descriptor fd(raw);
    size_t done = 0;
    while (done < content.size()) {
      const ssize_t put = ::write(fd.get(), content.data() + done, content.size() - done);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) give_up("write");
      done += static_cast<size_t>(put);
    }
    if (::fchmod(fd.get(), 0644) != 0 || ::fsync(fd.get()) != 0) give_up("sync");
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) give_up("rename onto");
}

}  // namespace weir
