#include "base/sensors.h"

#include <algorithm>
#include <fstream>
#include <optional>

namespace weir {
namespace {

namespace fs = std::filesystem;

template <typename T>
std::optional<T> first_word(const fs::path& path) {
  std::ifstream file(path);
  T value{};
  if (!(file >> value)) return std::nullopt;
  return value;
}

/// Of each entry of `folder` that has both files: name and scaled value, by name.
std::vector<SensorReading> readings(const fs::path& folder, const char* name_file,
                                    const char* value_file, double scale) {
  std::vector<SensorReading> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto name = first_word<std::string>(entry.path() / name_file);
    const auto value = first_word<double>(entry.path() / value_file);
    if (name && value) found.push_back({*name, *value * scale});
  }
  std::sort(found.begin(), found.end(),
            [](const SensorReading& a, const SensorReading& b) { return a.name < b.name; });
  return found;
}

}  // namespace

Sensors read_sensors(const fs::path& root) {
  return {readings(root / "thermal", "type", "temp", 1e-3),
          readings(root / "powercap", "name", "energy_uj", 1e-6)};
}

}  // namespace weir
