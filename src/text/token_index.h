// A hash table from the bytes of a token to its id. The bytes stay where they are (the vocabulary's
// arena); the table holds ids only.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace weir {

/// A fast hash of short byte strings, eight bytes at a time. Its low bits depend on every byte
/// (MurmurHash3's finaliser): tokens share their first bytes, those of a space or of a script.
inline uint64_t hash_bytes(std::string_view bytes) {
  uint64_t hash = 0x9E3779B97F4A7C15U ^ bytes.size();
  const char* data = bytes.data();
  size_t left = bytes.size();
  while (left > 0) {
    uint64_t block = 0;
    const size_t taken = left < 8 ? left : 8;
    std::memcpy(&block, data, taken);
    hash = (hash ^ block) * 0xFF51AFD7ED558CCDU;
    hash ^= hash >> 32;
    data += taken;
    left -= taken;
  }
  hash = (hash ^ (hash >> 33)) * 0xC4CEB9FE1A85EC53U;
  return hash ^ (hash >> 33);
}

class TokenIndex {
 public:
  /// `bytes_of(id)` gives the token's bytes, for this and later calls.
  template <typename BytesOf>
  void reserve(size_t count, BytesOf&& bytes_of) {
    size_t capacity = 16;
    while (capacity < count * 2) capacity *= 2;
    if (capacity <= slots_.size()) return;
    std::vector<int32_t> old(capacity, -1);
    old.swap(slots_);
    for (const int32_t id : old) {
      if (id >= 0) place(id, bytes_of);
    }
  }

  /// A hint that insert() or find() follows for these bytes.
  void expect(std::string_view bytes) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash_bytes(bytes) & (slots_.size() - 1)]);
  }

  /// Adds a token after reserve(). Returns false (and changes nothing) if its bytes are known.
  template <typename BytesOf>
  bool insert(int32_t id, BytesOf&& bytes_of) {
    if (find(bytes_of(id), bytes_of) >= 0) return false;
    place(id, bytes_of);
    return true;
  }

  /// The id, or -1.
  template <typename BytesOf>
  int32_t find(std::string_view bytes, BytesOf&& bytes_of) const {
    if (slots_.empty()) return -1;
    const size_t mask = slots_.size() - 1;
    for (size_t slot = hash_bytes(bytes) & mask; slots_[slot] >= 0; slot = (slot + 1) & mask) {
      if (bytes_of(slots_[slot]) == bytes) return slots_[slot];
    }
    return -1;
  }

 private:
  template <typename BytesOf>
  void place(int32_t id, BytesOf&& bytes_of) {
    const size_t mask = slots_.size() - 1;
    size_t slot = hash_bytes(bytes_of(id)) & mask;
    while (slots_[slot] >= 0) slot = (slot + 1) & mask;
    slots_[slot] = id;
  }

  std::vector<int32_t> slots_;  // a power of two of them, at most half full
};

}  // namespace weir
