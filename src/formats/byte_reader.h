// A cursor over bytes from outside. Every read is checked against what is left; a failed read is an
// error that names the source, the field and the byte offset. Little-endian only.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace weir {

static_assert(std::endian::native == std::endian::little,
              "file formats are little-endian and read in place");

class ByteReader {
 public:
  /// `source` is the file name in messages; it must outlive the reader.
  ByteReader(std::span<const std::byte> bytes, std::string_view source)
      : bytes_(bytes), source_(source) {}

  uint64_t offset() const { return at_; }
  uint64_t remaining() const { return bytes_.size() - at_; }

  /// Where a part that this reader gave out begins.
  uint64_t offset_of(std::string_view part) const {
    return offset_of(std::as_bytes(std::span(part)));
  }
  uint64_t offset_of(std::span<const std::byte> part) const {
    return static_cast<uint64_t>(part.data() - bytes_.data());
  }

  /// Names what is being read, for messages: ("tensor", 5) gives "tensor 5, dimension 1".
  void enter(const char* kind, uint64_t index) {
    kind_ = kind;
    index_ = index;
  }
  void leave() { kind_ = nullptr; }

  template <typename T>
  requires std::is_arithmetic_v<T> T number(const char* field) {
    T value;
    std::memcpy(&value, take(sizeof(T), field).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> take(uint64_t count, const char* field) {
    if (count > remaining())
      fail_at(Code::bad_format, at_, field,
              "{} bytes expected, {} left; the file is truncated or its header is damaged", count,
              remaining());
    const auto part = bytes_.subspan(at_, count);
    at_ += count;
    return part;
  }

  /// A 64-bit length and that many characters. `limit` is the most that is accepted.
  std::string_view string(const char* field, uint64_t limit) {
    const uint64_t start = at_;
    const auto length = number<uint64_t>(field);
    if (length > remaining())
      fail_at(Code::bad_format, start, field, "length {}, but only {} bytes are left", length,
              remaining());
    if (length > limit)
      fail_at(Code::limit_exceeded, start, field, "length {}, the limit is {}", length, limit);
    const auto part = take(length, field);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

  /// Throws "SOURCE: KIND INDEX, FIELD at byte OFFSET: detail".
  template <typename... Args>
  [[noreturn]] void fail_at(Code code, uint64_t offset, std::string_view field,
                            fmt::format_string<Args...> format, Args&&... args) const {
    const std::string place = kind_ == nullptr ? "" : fmt::format("{} {}, ", kind_, index_);
    throw Error(code, fmt::format("{}: {}{} at byte {}: {}", source_, place, field, offset,
                                  fmt::format(format, std::forward<Args>(args)...)));
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view source_;
  uint64_t at_ = 0;  // <= bytes_.size()
  const char* kind_ = nullptr;
  uint64_t index_ = 0;
};

}  // namespace weir
