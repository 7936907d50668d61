// The case mappings that one code point alone cannot hold.
#pragma once

#include <string_view>
#include <vector>

namespace weir::jinja {

struct SpecialCase {
  char32_t point;
  std::string_view text;  // UTF-8
};

extern const std::vector<SpecialCase> kSpecialUpper;  // sorted by point
extern const std::vector<SpecialCase> kSpecialTitle;  // sorted by point

}  // namespace weir::jinja
