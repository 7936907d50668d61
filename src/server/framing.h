// The head of an HTTP/1 request, checked byte by byte before any parser sees it. What two programs
// could read in two ways (RFC 9112, sections 2.2, 5 and 6) is refused, so nothing can be smuggled.
// Owns these rules and limits; refuses to parse further.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace weir {

struct HeadLimits {
  size_t line = 8 << 10;    // bytes of one line
  size_t fields = 100;      // header lines
  size_t total = 32 << 10;  // bytes of the whole head
};

/// Bytes of the head at the start of `bytes`, with the empty line; nothing if more must come.
/// Throws ApiError 431 (414 for the first line) as soon as a limit is passed.
std::optional<size_t> find_head(std::string_view bytes, const HeadLimits& limits);

/// Checks a complete head: lines end with CR LF, no folding, no control bytes, names are tokens,
/// one Host, at most one Content-Length (digits only), Transfer-Encoding only "chunked" and not
/// with a Content-Length, HTTP/1.0 or 1.1. Throws ApiError 400, 501 or 505.
void check_head(std::string_view head);

}  // namespace weir
