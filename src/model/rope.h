// Rotary positions: frequencies of a RopeConfig (with its stretching) and tables of cos and sin for
// the positions of a batch. Computed in double with base/math.h, so the same on every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "device/cpu/cpu_device.h"
#include "model/config.h"
#include "tensor/tensor.h"

namespace weir {

class Rope {
 public:
  Rope() = default;
  /// `context`: tokens this run may use. longrope takes its long divisors where that is more than
  /// the original context. Throws bad_format if an angle could pass math::kMaxAngle.
  Rope(const RopeConfig& config, int64_t context, int64_t max_tokens);

  int64_t pairs() const { return static_cast<int64_t>(frequencies_.size()); }
  /// Angle per position of each pair, in radians.
  const std::vector<double>& frequencies() const { return frequencies_; }

  /// Computes cos and sin {tokens, pairs} of these positions.
  void prepare(CpuDevice& device, const int32_t* positions, int64_t tokens);
  const float* cos() const { return reinterpret_cast<const float*>(cos_.data()); }
  const float* sin() const { return reinterpret_cast<const float*>(sin_.data()); }

 private:
  std::vector<double> frequencies_;
  double magnitude_ = 1.0;
  Buffer cos_, sin_;
};

}  // namespace weir
