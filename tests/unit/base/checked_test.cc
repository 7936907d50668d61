// Checked arithmetic against 128-bit arithmetic, at the edges of the types.
#include "base/checked.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace weir {
namespace {

__extension__ using Wide = __int128;

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

std::vector<uint64_t> edges() {
  std::vector<uint64_t> values = {0, 1, 2, 3, 5, 7, kMax, kMax - 1, kMax / 3, kMax / 2, kMax / 4};
  for (int bit = 3; bit < 64; ++bit)
    for (const int delta : {-1, 0, 1})
      values.push_back((uint64_t{1} << bit) + static_cast<uint64_t>(static_cast<int64_t>(delta)));
  return values;
}

TEST(Checked, UnsignedAgreesWithWideArithmetic) {
  for (const uint64_t a : edges()) {
    for (const uint64_t b : edges()) {
      const auto sum = static_cast<unsigned __int128>(a) + b;
      EXPECT_EQ(checked_add(a, b).has_value(), sum <= kMax);
      if (sum <= kMax) {
        EXPECT_EQ(*checked_add(a, b), a + b);
      }
      const auto product = static_cast<unsigned __int128>(a) * b;
      EXPECT_EQ(checked_mul(a, b).has_value(), product <= kMax);
      if (product <= kMax) {
        EXPECT_EQ(*checked_mul(a, b), a * b);
      }
      EXPECT_EQ(checked_sub(a, b).has_value(), a >= b);
    }
  }
}

TEST(Checked, SignedAgreesWithWideArithmetic) {
  for (const uint64_t x : edges()) {
    for (const uint64_t y : edges()) {
      const auto a = static_cast<int64_t>(x), b = static_cast<int64_t>(y);
      const auto fits = [](Wide v) {
        return v >= std::numeric_limits<int64_t>::min() && v <= std::numeric_limits<int64_t>::max();
      };
      EXPECT_EQ(checked_add(a, b).has_value(), fits(static_cast<Wide>(a) + b));
      EXPECT_EQ(checked_sub(a, b).has_value(), fits(static_cast<Wide>(a) - b));
      EXPECT_EQ(checked_mul(a, b).has_value(), fits(static_cast<Wide>(a) * b));
    }
  }
}

TEST(Checked, AlignUp) {
  EXPECT_EQ(checked_align_up<uint64_t>(0, 32), 0u);
  EXPECT_EQ(checked_align_up<uint64_t>(1, 32), 32u);
  EXPECT_EQ(checked_align_up<uint64_t>(32, 32), 32u);
  EXPECT_EQ(checked_align_up<uint64_t>(33, 1), 33u);
  EXPECT_EQ(checked_align_up<uint64_t>(kMax - 31, 32), kMax - 31);
  // The padding macro of other readers wraps to 0 here.
  for (uint64_t value = kMax - 30; value != 0; ++value)
    EXPECT_EQ(checked_align_up<uint64_t>(value, 32), std::nullopt) << value;
}

TEST(Checked, CastAndDivide) {
  EXPECT_EQ((checked_cast<int64_t>(kMax)), std::nullopt);
  EXPECT_EQ((checked_cast<uint32_t>(int64_t{-1})), std::nullopt);
  EXPECT_EQ((checked_cast<uint8_t>(255)), 255);
  EXPECT_EQ((checked_cast<uint8_t>(256)), std::nullopt);
  EXPECT_EQ((checked_cast<int8_t>(-128)), -128);
  EXPECT_EQ(div_up<uint64_t>(kMax, 2), kMax / 2 + 1);
  EXPECT_EQ(div_up(0, 7), 0);
  EXPECT_EQ(div_up(7, 7), 1);
  EXPECT_EQ(div_up(8, 7), 2);
}

}  // namespace
}  // namespace weir
