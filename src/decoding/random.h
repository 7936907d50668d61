// Random numbers without state: a counter-based generator (Philox4x32-10; Salmon, Moraes, Dror and
// Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A draw depends only on the seed,
// the position in the text and the purpose, never on what else was drawn before. Not for secrets.
#pragma once

#include <array>
#include <cstdint>

namespace weir {

/// One block: 128 random bits for a counter and a key.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// What a draw is for; draws of different purposes at one position are independent.
enum class DrawPurpose : uint32_t { token = 0, xtc = 1 };

/// 64 random bits for (seed, position, purpose).
uint64_t random_bits(uint64_t seed, int64_t position, DrawPurpose purpose);

/// Uniform in [0, 1), a multiple of 2^-53.
double random_uniform(uint64_t seed, int64_t position, DrawPurpose purpose);

/// Uniform in 0 .. bound - 1, for bound >= 1; the bias is below bound / 2^64.
uint64_t random_below(uint64_t bound, uint64_t seed, int64_t position, DrawPurpose purpose);

/// A seed that no one chose, from the operating system.
uint64_t fresh_seed();

}  // namespace weir
