// Frequencies against the formulas of the papers, written out here with the C library.
#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace weir {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

RopeConfig plain(int64_t dims) {
  RopeConfig config;
  config.mode = RopeMode::split;
  config.dims = dims;
  return config;
}

void expect_frequencies(const RopeConfig& config, int64_t context, double (*stretch)(double, int)) {
  const Rope rope(config, context, 1);
  for (int i = 0; i < config.dims / 2; ++i) {
    const double base = std::pow(config.base, -2.0 * i / static_cast<double>(config.dims));
    const double expected = stretch(base, i);
    EXPECT_NEAR(rope.frequencies()[static_cast<size_t>(i)] / expected, 1.0, 1e-12) << "pair " << i;
  }
}

TEST(Rope, PlainAndLinear) {
  expect_frequencies(plain(64), 100, [](double f, int) { return f; });
  RopeConfig linear = plain(64);
  linear.scaling = RopeScaling::linear;
  linear.factor = 4.0;
  expect_frequencies(linear, 100, [](double f, int) { return f / 4.0; });
}

TEST(Rope, Llama3KeepsShortWavesAndStretchesLongOnes) {
  RopeConfig config = plain(128);
  config.base = 500000.0;
  config.scaling = RopeScaling::llama3;
  config.factor = 8.0;
  config.low_frequency_factor = 1.0;
  config.high_frequency_factor = 4.0;
  config.original_context = 8192;
  expect_frequencies(config, 131072, [](double f, int) {
    const double wave = kTwoPi / f;
    if (wave < 8192.0 / 4.0) return f;
    if (wave > 8192.0 / 1.0) return f / 8.0;
    const double smooth = (8192.0 / wave - 1.0) / (4.0 - 1.0);
    return (1.0 - smooth) * f / 8.0 + smooth * f;
  });
}

TEST(Rope, YarnRampsBetweenTheBetas) {
  RopeConfig config = plain(128);
  config.scaling = RopeScaling::yarn;
  config.factor = 16.0;
  config.original_context = 4096;
  expect_frequencies(config, 65536, [](double f, int i) {
    const auto pair = [](double turns) {
      return 128.0 * std::log(4096.0 / (turns * kTwoPi)) / (2.0 * std::log(10000.0));
    };
    const double low = std::floor(pair(32.0)), high = std::ceil(pair(1.0));
    const double ramp = std::min(std::max((i - low) / (high - low), 0.0), 1.0);
    return f / 16.0 * ramp + f * (1.0 - ramp);
  });
}

TEST(Rope, LongropeChoosesByTheContextOfTheRun) {
  RopeConfig config = plain(4);
  config.scaling = RopeScaling::longrope;
  config.original_context = 100;
  config.short_factors = {1.0f, 2.0f};
  config.long_factors = {3.0f, 5.0f};
  EXPECT_DOUBLE_EQ(Rope(config, 100, 1).frequencies()[1], 0.01 / 2.0);
  EXPECT_DOUBLE_EQ(Rope(config, 101, 1).frequencies()[1], 0.01 / 5.0);
}

TEST(Rope, TablesAreCosAndSinTimesTheMagnitude) {
  RopeConfig config = plain(8);
  config.magnitude = 1.25;
  Rope rope(config, 1000000, 2);
  CpuDevice device(1);
  const int32_t positions[2] = {3, 999999};
  rope.prepare(device, positions, 2);
  for (int t = 0; t < 2; ++t)
    for (int i = 0; i < 4; ++i) {
      const double angle = positions[t] * std::pow(10000.0, -2.0 * i / 8.0);
      EXPECT_NEAR(static_cast<double>(rope.cos()[t * 4 + i]), 1.25 * std::cos(angle), 1e-7);
      EXPECT_NEAR(static_cast<double>(rope.sin()[t * 4 + i]), 1.25 * std::sin(angle), 1e-7);
    }
}

TEST(Rope, RefusesAnglesBeyondTheTables) {
  RopeConfig config = plain(8);
  config.factors = {1e-3f, 1.0f, 1.0f, 1.0f};
  EXPECT_NO_THROW(Rope(config, 1000, 1));
  EXPECT_THROW(Rope(config, 100000000, 1), Error);
}

}  // namespace
}  // namespace weir
