// decoding/random.h against the vectors published with Random123, and for uniformity.
#include "decoding/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace weir {
namespace {

using Block = std::array<uint32_t, 4>;

// kat_vectors of the Random123 distribution, lines "philox4x32 10".
TEST(Philox, PublishedVectors) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, DependsOnSeedPositionAndPurpose) {
  std::set<uint64_t> seen;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, ~uint64_t{0}}) {
    for (int64_t position : {int64_t{0}, int64_t{1}, int64_t{1} << 32, int64_t{1} << 40}) {
      for (auto purpose : {DrawPurpose::token, DrawPurpose::xtc}) {
        seen.insert(random_bits(seed, position, purpose));
        EXPECT_EQ(random_bits(seed, position, purpose), random_bits(seed, position, purpose));
      }
    }
  }
  EXPECT_EQ(seen.size(), 32u);
}

TEST(Random, UniformOverItsRange) {
  constexpr int kBins = 64, kDraws = 64 * 2000;
  std::array<int, kBins> reals{}, wholes{};
  for (int64_t i = 0; i < kDraws; ++i) {
    const double u = random_uniform(7, i, DrawPurpose::token);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    ++reals[static_cast<size_t>(u * kBins)];
    ++wholes[random_below(kBins, 8, i, DrawPurpose::token)];
  }
  for (const auto& bins : {reals, wholes}) {
    double chi2 = 0;
    for (const int n : bins) chi2 += std::pow(n - 2000.0, 2) / 2000.0;
    // 63 degrees of freedom: 99.9 % lie below 103.4, 99.9 % above 33.9.
    EXPECT_LT(chi2, 103.4);
    EXPECT_GT(chi2, 33.9);
  }
  EXPECT_EQ(random_below(1, 5, 6, DrawPurpose::token), 0u);
}

}  // namespace
}  // namespace weir
