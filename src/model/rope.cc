// Frequencies and tables. Sources: Su et al. 2021 (RoPE), Chen et al. 2023 (linear), Peng et al.
// 2023 (YaRN), the Llama 3.1 configuration (llama3), Ding et al. 2024 (longrope).
#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/math.h"

namespace weir {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

/// Llama 3: wavelengths below original / high stay, above original / low are stretched by the
/// factor, between the two a blend.
double llama3(const RopeConfig& config, double frequency) {
  const auto original = static_cast<double>(config.original_context);
  const double turns = original * frequency / kTwoPi;  // of this pair over the original context
  if (turns > config.high_frequency_factor) return frequency;
  if (turns < config.low_frequency_factor) return frequency / config.factor;
  const double keep = (turns - config.low_frequency_factor) /
                      (config.high_frequency_factor - config.low_frequency_factor);
  return (1.0 - keep) * frequency / config.factor + keep * frequency;
}

/// The pair (as a real number) that makes `turns` turns over the original context.
double yarn_pair(const RopeConfig& config, double turns) {
  return static_cast<double>(config.dims) *
         math::log(static_cast<double>(config.original_context) / (turns * kTwoPi)) /
         (2.0 * math::log(config.base));
}

/// YaRN: fast pairs stay, slow ones are stretched, a ramp over the pairs between.
double yarn(const RopeConfig& config, int64_t pair, double frequency) {
  const double low = std::max(std::floor(yarn_pair(config, config.beta_fast)), 0.0);
  const double high = std::min(std::ceil(yarn_pair(config, config.beta_slow)),
                               static_cast<double>(config.dims - 1));
  const double ramp =
      std::clamp((static_cast<double>(pair) - low) / std::max(high - low, 0.001), 0.0, 1.0);
  return frequency / config.factor * ramp + frequency * (1.0 - ramp);
}

double frequency_of(const RopeConfig& config, int64_t pair, int64_t context) {
  const double exponent = -2.0 * static_cast<double>(pair) / static_cast<double>(config.dims);
  double frequency = math::pow(config.base, exponent);
  const auto i = static_cast<size_t>(pair);
  if (!config.factors.empty()) frequency /= static_cast<double>(config.factors[i]);
  switch (config.scaling) {
    case RopeScaling::none:
      return frequency;
    case RopeScaling::linear:
      return frequency / config.factor;
    case RopeScaling::llama3:
      return llama3(config, frequency);
    case RopeScaling::yarn:
      return yarn(config, pair, frequency);
    case RopeScaling::longrope:
      return frequency / static_cast<double>(context > config.original_context
                                                 ? config.long_factors[i]
                                                 : config.short_factors[i]);
  }
  return frequency;
}

}  // namespace

Rope::Rope(const RopeConfig& config, int64_t context, int64_t max_tokens)
    : magnitude_(config.magnitude) {
  for (int64_t pair = 0; pair < config.dims / 2; ++pair) {
    const double frequency = frequency_of(config, pair, context);
    if (!(std::abs(frequency) * static_cast<double>(context) <= math::kMaxAngle))
      fail(Code::bad_format, "rotary pair {} turns {} radians a token; the file is damaged", pair,
           frequency);
    frequencies_.push_back(frequency);
  }
  const auto bytes = static_cast<size_t>(max_tokens * pairs()) * sizeof(float);
  cos_ = Buffer(bytes);
  sin_ = Buffer(bytes);
}

void Rope::prepare(CpuDevice& device, const int32_t* positions, int64_t tokens) {
  auto* const cos = reinterpret_cast<float*>(cos_.data());
  auto* const sin = reinterpret_cast<float*>(sin_.data());
  const int64_t n = pairs();
  device.for_each_row(tokens, 64 * n, [&](int64_t t, int) {
    const auto position = static_cast<double>(positions[t]);
    for (int64_t pair = 0; pair < n; ++pair) {
      const auto turn = math::sincos(position * frequencies_[static_cast<size_t>(pair)]);
      cos[t * n + pair] = static_cast<float>(turn.cos * magnitude_);
      sin[t * n + pair] = static_cast<float>(turn.sin * magnitude_);
    }
  });
}

}  // namespace weir
