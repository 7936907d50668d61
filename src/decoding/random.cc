#include "decoding/random.h"

#include <random>

namespace weir {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiplier0 = 0xd2511f53;
  constexpr uint64_t kMultiplier1 = 0xcd9e8d57;
  constexpr uint32_t kWeyl0 = 0x9e3779b9;  // golden ratio
  constexpr uint32_t kWeyl1 = 0xbb67ae85;  // sqrt(3) - 1
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

uint64_t random_bits(uint64_t seed, int64_t position, DrawPurpose purpose) {
  const auto place = static_cast<uint64_t>(position);
  const auto block = philox4x32({static_cast<uint32_t>(place), static_cast<uint32_t>(place >> 32),
                                 static_cast<uint32_t>(purpose), 0},
                                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return uint64_t{block[1]} << 32 | block[0];
}

double random_uniform(uint64_t seed, int64_t position, DrawPurpose purpose) {
  return static_cast<double>(random_bits(seed, position, purpose) >> 11) * 0x1p-53;
}

uint64_t random_below(uint64_t bound, uint64_t seed, int64_t position, DrawPurpose purpose) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide{random_bits(seed, position, purpose)} * bound >> 64);
}

uint64_t fresh_seed() {
  thread_local std::random_device device;  // to open it takes microseconds
  return uint64_t{device()} << 32 | device();
}

}  // namespace weir
