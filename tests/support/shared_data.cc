#include "support/shared_data.h"

#include <cstdlib>

namespace weir::test {

std::filesystem::path repository_file(std::string_view relative) {
  return std::filesystem::path(WEIR_SOURCE_DIR) / relative;
}

std::optional<std::filesystem::path> shared_data(std::string_view relative) {
  const char* root = std::getenv("WEIR_SHARED");
  const auto path = (root != nullptr ? std::filesystem::path(root) : repository_file("../shared")) /
                    "data" / relative;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path;
}

}  // namespace weir::test
