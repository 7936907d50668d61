#include "decoding/softmax.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace weir {
namespace {

// Four lanes of plain IEEE arithmetic, which every supported compiler maps to baseline SIMD.
using Floats = float __attribute__((vector_size(16)));
using Ints = int32_t __attribute__((vector_size(16)));
constexpr size_t kLanes = 4;

Floats load(const float* from) {
  Floats result;
  std::memcpy(&result, from, sizeof result);
  return result;
}

Floats load_tail(std::span<const float> values, float fill) {
  Floats result = {fill, fill, fill, fill};
  std::memcpy(&result, values.data(), values.size_bytes());
  return result;
}

// e^x for x <= 0; +0 below -30, where the mass would round to nothing (2^42 e^-30 = 0.41).
Floats exp_lanes(Floats x) {
  // Below kLow the arithmetic would leave the range of float; the answer is selected, not computed.
  constexpr float kLow = -30;
  const Ints keep = x >= kLow;
  x = std::bit_cast<Floats>(std::bit_cast<Ints>(x) & keep);
  // x = k ln 2 + r; adding 1.5 * 2^23 rounds to the nearest whole number.
  constexpr float kShift = 0x1.8p23f;
  const Floats shifted = x * 0x1.715476p+0f + kShift;
  const Floats k = shifted - kShift;
  Floats r = x - k * 0x1.62ep-1f;  // ln 2 in 12 bits: the product is exact
  r = r - k * 0x1.0bfbe8p-15f;
  // Taylor; the first term left out is r^8/8! < 6e-9.
  Floats sum = r * (1.0f / 5040) + 1.0f / 720;
  sum = sum * r + 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  const Ints power = __builtin_convertvector(k, Ints) << 23;
  const Ints scaled = std::bit_cast<Ints>(sum) + power;
  return std::bit_cast<Floats>(scaled & keep);
}

uint64_t to_mass(float weight) {
  return static_cast<uint64_t>(static_cast<int64_t>(static_cast<double>(weight) * kMassOne + 0.5));
}

// Calls use(i, mass of logits[i]) for all i in order.
template <typename Use>
void each_mass(std::span<const float> logits, float top, float temperature, Use use) {
  const Floats tops = {top, top, top, top};
  const Floats divisors = {temperature, temperature, temperature, temperature};
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    const Floats weights = exp_lanes((load(&logits[i]) - tops) / divisors);
    for (size_t lane = 0; lane < kLanes; ++lane) use(i + lane, to_mass(weights[lane]));
  }
  if (i < logits.size()) {
    const auto rest = logits.subspan(i);
    const Floats weights = exp_lanes((load_tail(rest, top) - tops) / divisors);
    for (size_t lane = 0; lane < rest.size(); ++lane) use(i + lane, to_mass(weights[lane]));
  }
}

}  // namespace

void check_finite(std::span<const float> logits) {
  // Exponent bits all ones mean infinity or NaN. The largest of the magnitudes as integers tells.
  constexpr int32_t kInfinityBits = 0x7f800000;
  Ints worst = {0, 0, 0, 0};
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    const Ints bits = std::bit_cast<Ints>(load(&logits[i])) & 0x7fffffff;
    worst = bits > worst ? bits : worst;
  }
  int32_t most = std::max({worst[0], worst[1], worst[2], worst[3]});
  for (; i < logits.size(); ++i) {
    most = std::max(most, std::bit_cast<int32_t>(logits[i]) & 0x7fffffff);
  }
  if (most < kInfinityBits) return;
  const auto bad = std::find_if(logits.begin(), logits.end(), [](float v) {
    return (std::bit_cast<int32_t>(v) & 0x7fffffff) >= kInfinityBits;
  });
  fail(Code::numeric,
       "the model computed {} as the logit of token {}, expected a finite number; the weights may "
       "be damaged or overflow in this precision",
       *bad, bad - logits.begin());
}

float largest(std::span<const float> logits) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  Floats best = {kLowest, kLowest, kLowest, kLowest};
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    const Floats values = load(&logits[i]);
    best = values > best ? values : best;
  }
  float result = std::max({best[0], best[1], best[2], best[3]});
  for (; i < logits.size(); ++i) result = std::max(result, logits[i]);
  return result;
}

void masses(std::span<const float> logits, float top, float temperature,
            std::span<uint64_t> masses) {
  WEIR_CHECK(masses.size() == logits.size() && logits.size() <= kMaxVocab);
  each_mass(logits, top, temperature, [&masses](size_t i, uint64_t mass) { masses[i] = mass; });
}

uint64_t total_mass(std::span<const float> logits, float top) {
  WEIR_CHECK(logits.size() <= kMaxVocab);
  uint64_t sum = 0;
  each_mass(logits, top, 1.0f, [&sum](size_t, uint64_t mass) { sum += mass; });
  return sum;
}

}  // namespace weir
