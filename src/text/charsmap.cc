// Layout (SentencePiece normalizer.cc, Darts-clone units, little endian): u32 bytes of the trie,
// the trie, then the replacements. In a unit, bit 8 says "a value hangs here", bits 10..30 are the
// offset (times 256 if bit 9), bits 0..7 and 31 the label; the value itself is 31 bits.
#include "text/charsmap.h"

#include <cstring>

#include "base/error.h"
#include "text/utf8.h"

namespace weir {
namespace {

constexpr size_t kMaxText = 4096;  // longer replacements are cut: no published map has one

bool has_leaf(uint32_t unit) { return ((unit >> 8) & 1) != 0; }
uint32_t value_of(uint32_t unit) { return unit & 0x7FFFFFFFU; }
uint32_t label_of(uint32_t unit) { return unit & 0x800000FFU; }
uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); }

}  // namespace

Charsmap::Charsmap(std::string_view blob) {
  uint32_t trie_bytes = 0;
  if (blob.size() < sizeof trie_bytes) {
    fail(Code::bad_format, "the precompiled charsmap has {} bytes, expected at least 4",
         blob.size());
  }
  std::memcpy(&trie_bytes, blob.data(), sizeof trie_bytes);
  blob.remove_prefix(sizeof trie_bytes);
  if (trie_bytes > blob.size() || trie_bytes % 4 != 0 || trie_bytes == 0) {
    fail(Code::bad_format,
         "the precompiled charsmap says its trie has {} bytes, but {} follow (a multiple of 4 is "
         "expected)",
         trie_bytes, blob.size());
  }
  units_.resize(trie_bytes / 4);
  std::memcpy(units_.data(), blob.data(), trie_bytes);
  texts_ = blob.substr(trie_bytes);
  if (texts_.empty() || texts_.back() != '\0') texts_.push_back('\0');
}

size_t Charsmap::match(std::string_view text, std::string_view& replacement) const {
  size_t longest = 0;
  uint32_t node = offset_of(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_leaf(unit)) continue;
    if (node >= units_.size()) break;
    const uint32_t at = value_of(units_[node]);
    if (at >= texts_.size()) break;
    longest = i + 1;
    replacement = std::string_view(texts_.c_str() + at, strnlen(texts_.c_str() + at, kMaxText));
  }
  return longest;
}

std::string Charsmap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    std::string_view replacement;
    if (const size_t length = match(text.substr(at), replacement); length > 0) {
      out += replacement;
      at += length;
      continue;
    }
    const CodePoint c = decode_utf8(text, at);
    out.append(text, at, c.bytes);
    at += c.bytes;
  }
  return out;
}

}  // namespace weir
