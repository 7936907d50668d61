// Unknown characters and the join filter.
#include "text/model.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace weir {

void UnknownPolicy::emit(std::string_view bytes, size_t word_start,
                         std::vector<int32_t>& ids) const {
  const auto token_of = [&](char c) { return vocabulary_.byte_token(static_cast<uint8_t>(c)); };
  if (byte_fallback_ &&
      std::all_of(bytes.begin(), bytes.end(), [&](char c) { return token_of(c) >= 0; })) {
    for (const char c : bytes) ids.push_back(token_of(c));
    return;
  }
  if (!unknown_) {
    fail(Code::unsupported,
         "the vocabulary has no token for byte 0x{:02X} and no unknown token, so this text cannot "
         "be "
         "encoded",
         static_cast<uint8_t>(bytes.front()));
  }
  if (fuse_ && ids.size() > word_start && ids.back() == *unknown_) return;
  ids.push_back(*unknown_);
}

void JoinFilter::add(std::string_view token) {
  char32_t left = 0;
  for (size_t at = 0; at < token.size();) {
    const CodePoint c = decode_utf8(token, at);
    if (at > 0) set(left, c.value);
    left = c.value;
    at += c.bytes;
  }
}

void JoinFilter::add_bytes(std::string_view token) {
  for (size_t at = 1; at < token.size(); ++at) {
    set(static_cast<uint8_t>(token[at - 1]), static_cast<uint8_t>(token[at]));
  }
}

}  // namespace weir
