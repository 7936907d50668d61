// The names of a disk store's files. Only what has such a name is read or deleted; everything else
// in the folder is someone else's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

inline constexpr std::string_view kLockFile = "lock";
inline constexpr std::string_view kSegmentEnding = ".seg";
inline constexpr std::string_view kTemporaryEnding = ".tmp";

/// "kv-0000000000000001.seg"
std::string disk_file_name(uint64_t number, std::string_view ending);

/// The number in such a name; nothing if the name is another.
std::optional<uint64_t> disk_file_number(std::string_view name, std::string_view ending);

}  // namespace weir
