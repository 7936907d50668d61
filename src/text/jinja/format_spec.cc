#include "text/jinja/format_spec.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace weir::jinja {
namespace {

constexpr std::int64_t kMaxWidth = 1 << 20;

}  // namespace

std::string digits_of(std::int64_t value, char type) {
  const std::uint64_t magnitude =
      value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
  switch (type) {
    case 'x':
      return fmt::format("{:x}", magnitude);
    case 'X':
      return fmt::format("{:X}", magnitude);
    case 'o':
      return fmt::format("{:o}", magnitude);
    case 'b':
      return fmt::format("{:b}", magnitude);
    default:
      return std::to_string(magnitude);
  }
}

std::int64_t bounded(std::int64_t value) {
  if (value > kMaxWidth) throw LimitHit{fmt::format("a field width above {}", kMaxWidth)};
  return value;
}

void pad(TextBuilder& out, const Spec& spec, std::string_view prefix, const Value& body,
         char default_align) {
  const auto width = static_cast<std::size_t>(spec.width);
  const std::size_t have = prefix.size() + body.text().points;
  const std::size_t missing = width > have ? width - have : 0;
  const char align = spec.align != '\0' ? spec.align : default_align;
  std::size_t before = 0;
  if (align == '>') before = missing;
  if (align == '^') before = missing / 2;
  std::string fill;
  const auto fill_with = [&](std::size_t count) {
    fill.clear();
    for (std::size_t i = 0; i < count; ++i) fill += spec.fill;
    out.append(fill, spec.trusted);
  };
  fill_with(before);
  out.append(prefix, spec.trusted);
  if (align == '=') fill_with(missing);
  out.append(body.text());
  if (align == '<' || align == '^') fill_with(missing - before);
}

std::string sign_of(bool negative, char sign) {
  if (negative) return "-";
  return sign == '+' || sign == ' ' ? std::string(1, sign) : std::string();
}

std::string format_real(double value, char type, int precision, bool alternate) {
  if (std::isnan(value)) return type >= 'a' ? "nan" : "NAN";
  if (std::isinf(value)) return type >= 'a' ? "inf" : "INF";
  char format[8] = {'%', '.', '*', type, '\0'};
  if (alternate) std::snprintf(format, sizeof(format), "%%#.*%c", type);
  char buffer[800];
  const int size = std::snprintf(buffer, sizeof(buffer), format, precision, value);
  return std::string(
      buffer, static_cast<std::size_t>(std::clamp(size, 0, static_cast<int>(sizeof(buffer)) - 1)));
}

}  // namespace weir::jinja
