// What both kinds of format fields share: width, alignment, sign, digits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace weir::jinja {

inline constexpr std::int64_t kMaxPrecision = 400;  // digits after the point; no double has more

struct Spec {
  bool trusted = true;  // the format was written by the template: so are fill and sign
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';
  bool alternate = false;
  char group = '\0';
  std::int64_t width = 0;
  std::optional<std::int64_t> precision;
  char type = '\0';
};

std::string digits_of(std::int64_t value, char type);
std::string sign_of(bool negative, char sign);
/// A width or precision from a template; a limit error above one million.
std::int64_t bounded(std::int64_t value);
/// Appends `prefix` (a sign) and `body`, padded to the width.
void pad(TextBuilder& out, const Spec& spec, std::string_view prefix, const Value& body,
         char default_align);
/// A float in the style of printf ('e', 'f', 'g', upper case too).
std::string format_real(double value, char type, int precision, bool alternate = false);

}  // namespace weir::jinja
