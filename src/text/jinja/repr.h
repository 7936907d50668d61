// How Python prints values: str(), repr() and the shortest form of a float.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace weir::jinja {

std::string float_repr(double value);
/// repr() of a str: quotes, escapes.
std::string quoted(std::string_view bytes);
/// The same for an error message: cut after some 100 characters.
std::string quoted_short(std::string_view bytes);

/// repr(value). Charges the budget for every element.
std::string repr(Budget& budget, const Value& value);
/// str(value) as text; plain text stays itself with its origin, other text is trusted if it is made
/// of numbers and names of the engine only.
Value to_text(Budget& budget, const Value& value);

}  // namespace weir::jinja
