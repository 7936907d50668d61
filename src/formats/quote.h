// Makes text from files safe to show: control and non-ASCII bytes escaped, length cut. Used in
// every message that repeats a name from a file.
#pragma once

#include <string>
#include <string_view>

namespace weir {

/// 'text' in single quotes; bytes outside 0x20..0x7e become \xNN; cut after `limit` bytes.
std::string quote(std::string_view text, size_t limit = 80);

}  // namespace weir
