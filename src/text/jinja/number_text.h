// Numbers from text as Python's int() and float() read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "text/jinja/value.h"

namespace weir::jinja {

/// int(text, base): spaces around, a sign, single underscores, the prefix of the base. Nothing if
/// Python would raise ValueError; raises OverflowError beyond 64 bits.
std::optional<std::int64_t> parse_integer(std::string_view text, int base);

/// float(value) of a number or text; nothing where Python would raise.
std::optional<double> to_real(const Value& value);

}  // namespace weir::jinja
