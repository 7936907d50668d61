// UTF-8 decoding by the ranges of table 3-7 of the Unicode standard.
#include "text/utf8.h"

#include <cstring>

namespace weir {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct LeadByte {
  uint32_t bytes;  // length of the sequence, 0 if no sequence starts so
  uint8_t second_min;
  uint8_t second_max;
};

LeadByte lead_byte(uint8_t b) {
  if (b < 0x80) return {1, 0, 0};
  if (b < 0xC2) return {0, 0, 0};
  if (b < 0xE0) return {2, 0x80, 0xBF};
  if (b < 0xF0) {
    const uint8_t low = b == 0xE0 ? 0xA0 : 0x80;
    const uint8_t high = b == 0xED ? 0x9F : 0xBF;
    return {3, low, high};
  }
  if (b < 0xF5) {
    const uint8_t low = b == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = b == 0xF4 ? 0x8F : 0xBF;
    return {4, low, high};
  }
  return {0, 0, 0};
}

/// Number of bytes at `at` that agree with a well-formed sequence; `wanted` is its full length (0
/// if the first byte starts none).
uint32_t well_formed_part(std::string_view text, size_t at, uint32_t& wanted) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const LeadByte lead = lead_byte(byte(0));
  wanted = lead.bytes;
  if (wanted <= 1) return wanted;
  const size_t available = text.size() - at;
  uint32_t n = 1;
  while (n < wanted && n < available) {
    const uint8_t low = n == 1 ? lead.second_min : uint8_t{0x80};
    const uint8_t high = n == 1 ? lead.second_max : uint8_t{0xBF};
    if (byte(n) < low || byte(n) > high) break;
    ++n;
  }
  return n;
}

}  // namespace

CodePoint detail::decode_long_utf8(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t first = byte(0);
  uint32_t wanted = 0;
  if (well_formed_part(text, at, wanted) != wanted || wanted == 0) return {first, 1, false};
  char32_t value = first & (0xFFU >> (wanted + 1));
  for (uint32_t i = 1; i < wanted; ++i) value = (value << 6) | (byte(i) & 0x3FU);
  return {value, wanted, true};
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (c >> 6)));
    out.push_back(tail(0));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (c >> 12)));
    out.push_back(tail(6));
    out.push_back(tail(0));
  } else {
    out.push_back(static_cast<char>(0xF0 | (c >> 18)));
    out.push_back(tail(12));
    out.push_back(tail(6));
    out.push_back(tail(0));
  }
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t block = 0;
    if (at + sizeof block <= text.size()) {
      std::memcpy(&block, text.data() + at, sizeof block);
      if ((block & 0x8080808080808080U) == 0) {
        at += sizeof block;
        continue;
      }
    }
    const CodePoint c = decode_utf8(text, at);
    if (!c.valid) return at;
    at += c.bytes;
  }
  return at;
}

std::string Utf8Filter::push(std::string_view bytes) {
  pending_ += bytes;
  std::string out;
  size_t at = 0;
  while (at < pending_.size()) {
    const size_t good = valid_utf8_prefix(std::string_view(pending_).substr(at));
    out.append(pending_, at, good);
    at += good;
    if (at == pending_.size()) break;
    uint32_t wanted = 0;
    const uint32_t part = well_formed_part(pending_, at, wanted);
    if (part != 0 && at + part == pending_.size()) break;  // may still be completed
    out += kReplacement;
    at += part == 0 ? 1 : part;
  }
  pending_.erase(0, at);
  return out;
}

std::string Utf8Filter::finish() {
  if (pending_.empty()) return {};
  pending_.clear();
  return std::string(kReplacement);
}

}  // namespace weir
