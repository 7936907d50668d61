// Sensors from a folder that looks as the kernel documents it (Documentation/ABI,
// sysfs-class-thermal and sysfs-class-powercap).
#include "base/sensors.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temp_dir.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

void put(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

TEST(Sensors, ReadsHeatAndEnergyAndSkipsTheRest) {
  const test::TempDir temp;
  put(temp.path() / "thermal/thermal_zone1/type", "x86_pkg_temp\n");
  put(temp.path() / "thermal/thermal_zone1/temp", "54500\n");
  put(temp.path() / "thermal/thermal_zone0/type", "acpitz\n");
  put(temp.path() / "thermal/thermal_zone0/temp", "27800\n");
  put(temp.path() / "thermal/cooling_device0/type", "Processor\n");
  put(temp.path() / "thermal/thermal_zone2/type", "broken\n");
  put(temp.path() / "thermal/thermal_zone2/temp", "no number\n");
  put(temp.path() / "powercap/intel-rapl:0/name", "package-0\n");
  put(temp.path() / "powercap/intel-rapl:0/energy_uj", "1234567890\n");
  put(temp.path() / "powercap/intel-rapl/enabled", "1\n");
  const Sensors sensors = read_sensors(temp.path());
  ASSERT_EQ(sensors.celsius.size(), 2u);
  EXPECT_EQ(sensors.celsius[0].name, "acpitz");
  EXPECT_DOUBLE_EQ(sensors.celsius[1].value, 54.5);
  ASSERT_EQ(sensors.joules.size(), 1u);
  EXPECT_EQ(sensors.joules[0].name, "package-0");
  EXPECT_NEAR(sensors.joules[0].value, 1234.56789, 1e-9);
}

TEST(Sensors, NoneIsNoError) {
  const test::TempDir temp;
  const Sensors sensors = read_sensors(temp.path() / "absent");
  EXPECT_TRUE(sensors.celsius.empty());
  EXPECT_TRUE(sensors.joules.empty());
}

}  // namespace
}  // namespace weir
