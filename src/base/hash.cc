#include "base/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/file_io.h"

namespace weir {
namespace {

struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

Checksum of(XXH128_hash_t value) { return {value.low64, value.high64}; }

}  // namespace

Digest sha256(std::string_view bytes) {
  Digest digest;
  const int ok =
      EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()),
                 nullptr, EVP_sha256(), nullptr);
  WEIR_CHECK(ok == 1, "libcrypto refused SHA-256");
  return digest;
}

std::string to_hex(const Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : digest) {
    text += kDigits[std::to_integer<size_t>(byte >> 4)];
    text += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  return text;
}

Digest sha256_file(const std::filesystem::path& path,
                   const std::function<void(uint64_t)>& progress) {
  FileIo& io = real_file_io();
  std::error_code missing;
  const auto real_path = std::filesystem::canonical(path, missing);
  const int fd = uninterrupted([&] { return io.open(missing ? path : real_path, OpenMode::read); });
  if (fd < 0)
    fail(fd == -ENOENT ? Code::not_found : Code::io, "cannot open {}: {}", path.string(),
         std::strerror(-fd));
  const OpenFile file(io, fd);
  FileStatus status;
  const int error = io.status(fd, status);
  if (error < 0) fail(Code::io, "cannot stat {}: {}", path.string(), std::strerror(-error));
  if (!status.is_file)
    fail(Code::invalid_argument, "{} is not a regular file; only those have a SHA-256",
         path.string());
  const std::unique_ptr<EVP_MD_CTX, FreeDigest> context(EVP_MD_CTX_new());
  WEIR_CHECK(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1,
             "libcrypto refused SHA-256");
  std::vector<std::byte> piece(size_t{1} << 20);
  uint64_t done = 0;
  while (true) {
    const int64_t got = read_fully(io, fd, done, piece);
    if (got < 0)
      fail(Code::io, "cannot read {}: {}", path.string(), std::strerror(static_cast<int>(-got)));
    if (got == 0) break;
    EVP_DigestUpdate(context.get(), piece.data(), static_cast<size_t>(got));
    done += static_cast<uint64_t>(got);
    if (progress) progress(done);
  }
  Digest digest;
  EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

Checksum checksum(std::span<const std::byte> bytes) {
  return of(XXH3_128bits(bytes.data(), bytes.size()));
}

struct ChecksumStream::State {
  XXH3_state_t* xxh = XXH3_createState();
  ~State() { XXH3_freeState(xxh); }
};

ChecksumStream::ChecksumStream() : state_(std::make_unique<State>()) {
  WEIR_CHECK(state_->xxh != nullptr && XXH3_128bits_reset(state_->xxh) == XXH_OK, "no XXH3 state");
}

ChecksumStream::~ChecksumStream() = default;

void ChecksumStream::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
}

Checksum ChecksumStream::value() const { return of(XXH3_128bits_digest(state_->xxh)); }

}  // namespace weir
