// What the machine tells of its heat and its use of energy, where the system offers it (Linux:
// thermal zones and the powercap tree of RAPL). Absent or unreadable sensors are left out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace weir {

struct SensorReading {
  std::string name;
  double value = 0;
};

struct Sensors {
  std::vector<SensorReading> celsius;
  std::vector<SensorReading> joules;  // since some moment in the past; wraps after hours or days
};

/// `root`: where the system lists device classes.
Sensors read_sensors(const std::filesystem::path& root = "/sys/class");

}  // namespace weir
