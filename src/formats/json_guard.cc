// See json_guard.h.
#include "formats/json_guard.h"

#include "base/error.h"

namespace weir {

void guard_json(std::string_view text, size_t max_depth, size_t max_token_bytes,
                std::string_view source, size_t base) {
  size_t depth = 0;
  size_t token = 0;  // bytes since the last structural character outside a string
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\0')
      fail(Code::bad_format, "{}: JSON at byte {}: a NUL byte, expected text", source, base + i);
    if (++token > max_token_bytes)
      fail(Code::limit_exceeded, "{}: JSON at byte {}: one string or number of more than {} bytes",
           source, base + i, max_token_bytes);
    if (in_string) {
      if (c == '\\') {
        ++i;
        if (i < text.size() && text[i] == '\0') --i;  // seen by the next turn
      } else if (c == '"') {
        in_string = false;
        token = 0;
      }
      continue;
    }
    switch (c) {
      case '"':
        in_string = true;
        break;
      case '[':
      case '{':
        if (++depth > max_depth)
          fail(Code::limit_exceeded, "{}: JSON at byte {}: nested deeper than {}", source, base + i,
               max_depth);
        break;
      case ']':
      case '}':
        if (depth > 0) --depth;
        break;
      case ' ':
      case '\t':
      case '\n':
      case '\r':
      case ',':
      case ':':
        break;
      default:
        continue;
    }
    token = 0;
  }
}

}  // namespace weir
