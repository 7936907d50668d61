#include "cache/disk_folder.h"

#include <fmt/format.h>

#include <charconv>

namespace weir {
namespace {

constexpr std::string_view kBeginning = "kv-";
constexpr size_t kDigits = 16;
// Names beyond are not ours: counting on from one must never wrap.
constexpr uint64_t kMaxNumber = uint64_t{1} << 62;

}  // namespace

std::string disk_file_name(uint64_t number, std::string_view ending) {
  return fmt::format("{}{:016x}{}", kBeginning, number, ending);
}

std::optional<uint64_t> disk_file_number(std::string_view name, std::string_view ending) {
  if (!name.starts_with(kBeginning) || !name.ends_with(ending) ||
      name.size() != kBeginning.size() + kDigits + ending.size())
    return std::nullopt;
  const std::string_view digits = name.substr(kBeginning.size(), kDigits);
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  // The second test refuses upper-case digits and signs.
  if (error != std::errc() || number > kMaxNumber || disk_file_name(number, ending) != name)
    return std::nullopt;
  return number;
}

}  // namespace weir
