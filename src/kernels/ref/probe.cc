// The ceilings of plain C++, for machines without an ISA folder.
#include <cmath>
#include <cstring>

#include "kernels/ref/ref.h"

namespace weir::kernels::ref {

int64_t probe_int8(int64_t rounds) {
  int32_t sums[16] = {};
  volatile int8_t weight = 3;
  for (int64_t i = 0; i < rounds; ++i)
    for (int32_t& sum : sums) sum += weight * static_cast<int8_t>(i);
  volatile int32_t sink = sums[0] + sums[15];
  static_cast<void>(sink);
  return rounds * 16 * 2;
}

int64_t probe_fma(int64_t rounds) {
  float sums[16] = {};
  volatile float factor = 0.999f;
  for (int64_t i = 0; i < rounds; ++i)
    for (float& sum : sums) sum = std::fma(sum, factor, 1e-3f);
  volatile float sink = sums[0] + sums[15];
  static_cast<void>(sink);
  return rounds * 16 * 2;
}

void probe_read(const std::byte* data, size_t bytes) {
  uint64_t a = 0, b = 0, c = 0, d = 0, word[4];
  for (size_t i = 0; i + 32 <= bytes; i += 32) {
    std::memcpy(word, data + i, 32);
    a ^= word[0];
    b ^= word[1];
    c ^= word[2];
    d ^= word[3];
  }
  volatile uint64_t sink = a ^ b ^ c ^ d;
  static_cast<void>(sink);
}

}  // namespace weir::kernels::ref
