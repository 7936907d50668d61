// Hashes of bytes: SHA-256 where a name must stand for its content, XXH3 where damage must be
// noticed at memory speed. Refuses keyed hashing and anything secret.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace weir {

/// A SHA-256 value (FIPS 180-4).
using Digest = std::array<std::byte, 32>;

Digest sha256(std::string_view bytes);

/// 64 lower-case hexadecimal digits.
std::string to_hex(const Digest& digest);

/// Of a whole regular file (or what a link to one leads to), read in pieces. `progress` is told the
/// bytes read so far. Throws as read_file() does.
Digest sha256_file(const std::filesystem::path& path,
                   const std::function<void(uint64_t)>& progress = nullptr);

/// 128 bits of XXH3. Finds damage; does not withstand someone who forges.
struct Checksum {
  uint64_t low = 0, high = 0;
  bool operator==(const Checksum&) const = default;
};

Checksum checksum(std::span<const std::byte> bytes);

/// The checksum of pieces joined.
class ChecksumStream {
 public:
  ChecksumStream();
  ~ChecksumStream();
  ChecksumStream(const ChecksumStream&) = delete;
  ChecksumStream& operator=(const ChecksumStream&) = delete;
  void add(std::span<const std::byte> bytes);
  Checksum value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weir
