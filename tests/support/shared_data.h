// Where tests find the real test data that is not part of the repository.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace weir::test {

/// Path of a file or folder below $WEIR_SHARED/data (default ../shared/data, seen from the
/// repository root); nothing if it is not there, and then the test must skip and say so.
std::optional<std::filesystem::path> shared_data(std::string_view relative);

/// Path of a file that is part of the repository.
std::filesystem::path repository_file(std::string_view relative);

}  // namespace weir::test
