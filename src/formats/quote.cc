// Escaping of foreign text for messages; see quote.h.
#include "formats/quote.h"

#include <fmt/format.h>

namespace weir {

std::string quote(std::string_view text, size_t limit) {
  std::string out = "'";
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  if (text.size() > limit) out += "…";
  out += '\'';
  return out;
}

}  // namespace weir
