// The byte alphabet as two tables.
#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "text/utf8.h"

namespace weir {
namespace {

constexpr size_t kFirstUnused = 0x144;  // the last shifted byte (0xAD) is U+0143

struct Tables {
  std::array<char32_t, 256> character{};
  std::array<int16_t, kFirstUnused> byte{};

  constexpr Tables() {
    byte.fill(-1);
    char32_t shifted = 0x100;
    for (uint32_t b = 0; b < 256; ++b) {
      const bool itself = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      character[b] = itself ? char32_t{b} : shifted++;
      byte[character[b]] = static_cast<int16_t>(b);
    }
  }
};

constexpr Tables kTables;

}  // namespace

bool append_from_byte_alphabet(std::string& out, std::string_view token) {
  const size_t before = out.size();
  for (size_t at = 0; at < token.size();) {
    const CodePoint c = decode_utf8(token, at);
    if (!c.valid || c.value >= kFirstUnused || kTables.byte[c.value] < 0) {
      out.resize(before);
      out += token;
      return false;
    }
    out.push_back(static_cast<char>(kTables.byte[c.value]));
    at += c.bytes;
  }
  return true;
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string token;
  token.reserve(bytes.size());
  for (const char b : bytes) append_utf8(token, kTables.character[static_cast<uint8_t>(b)]);
  return token;
}

}  // namespace weir
