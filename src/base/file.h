// Files: read-only mappings, small whole-file reads, atomic writes. Owns descriptors and mappings;
// knows nothing about formats. Only regular files are opened (no devices, pipes or directories).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/mapping_guard.h"

namespace weir {

/// A whole file mapped read-only. Nothing is read until touched. Shared by everything that points
/// into it (a Buffer keeps it alive).
class MappedFile {
 public:
  /// Throws not_found, io, or invalid_argument (not a regular file).
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  /// Throws io if the file has lost bytes that were read since it was mapped (see
  /// base/mapping_guard.h): results that came from them are worthless.
  void check_intact() const;

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size), guard_(data, size) {}
  std::filesystem::path path_;
  const std::byte* data_;
  size_t size_;
  GuardedMapping guard_;
};

/// Reads a whole regular file of at most `limit` bytes.
std::string read_file(const std::filesystem::path& path, uint64_t limit = uint64_t{64} << 20);

/// Writes a file piece by piece so that a crash, an error or an exception leaves the old content:
/// temporary file in the same folder; commit() does fsync and rename. Without commit() nothing
/// stays.
class FileWriter {
 public:
  explicit FileWriter(std::filesystem::path path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void append(std::span<const std::byte> bytes);
  void commit();

 private:
  std::filesystem::path path_;
  std::string temporary_;
  int fd_ = -1;
};

/// The same for content that is in memory.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

}  // namespace weir
