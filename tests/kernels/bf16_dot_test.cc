// The numerics option "bf16-dot": the instruction equals its plain twin bit for bit, on odd shapes,
// hostile bits and where numbers become tiny; and the twin is what its rules say.
#include <fmt/format.h>

#include "kernels/support.h"

namespace weir {
namespace {

using kernels::KernelTable;

const KernelTable& plain() { return *kernels::bf16_dot_table_of(kernels::ref_table()); }

/// The fast table with the option; null where the processor has none.
const KernelTable* fast() {
  for (const KernelTable* table : test::fast_tables())
    if (const KernelTable* dot = kernels::bf16_dot_table_of(*table)) return dot;
  return nullptr;
}

std::vector<float> multiply(const KernelTable& table, DType type, const Buffer& w, int64_t rows,
                            int64_t k, const std::vector<float>& x, int64_t tokens) {
  kernels::MatmulArgs args;
  args.x = x.data();
  args.x_stride = k;
  args.tokens = tokens;
  return test::multiply(table, type, w, rows, k, args);
}

class Bf16DotTest : public ::testing::TestWithParam<DType> {};

TEST_P(Bf16DotTest, TheInstructionEqualsItsTwin) {
  const KernelTable* const table = fast();
  if (table == nullptr) GTEST_SKIP() << "this processor has no AVX512_BF16";
  const DType type = GetParam();
  std::mt19937 rng(11);
  for (const bool wild : {false, true})
    for (const int64_t rows : {1, 3, 4, 37, 70})
      for (const int64_t k : {1, 7, 31, 32, 33, 300, 2048, 2051})
        for (const int64_t tokens : {1, 2, 5, 6, 7, 140}) {
          if (tokens == 140 && ((rows > 4 && rows < 70) || k > 300)) continue;
          if (rows == 70 && tokens != 7 && tokens != 140) continue;
          const Buffer w = test::random_weights(rng, type, rows, k, wild);
          auto x = test::random_floats(rng, static_cast<size_t>(tokens * k));
          if (wild)
            for (float& value : x) value = std::bit_cast<float>(static_cast<uint32_t>(rng()));
          ASSERT_TRUE(test::all_same(multiply(plain(), type, w, rows, k, x, tokens),
                                     multiply(*table, type, w, rows, k, x, tokens)))
              << fmt::format("rows {} k {} tokens {} wild {}", rows, k, tokens, wild);
        }
}

/// One token keeps its rounded activations in the scratch, where they fit: 132 segments do.
TEST_P(Bf16DotTest, OneTokenLongerThanTheScratch) {
  const KernelTable* const table = fast();
  if (table == nullptr) GTEST_SKIP() << "this processor has no AVX512_BF16";
  std::mt19937 rng(12);
  for (const int64_t k : {132 * kernels::kSegment, 132 * kernels::kSegment + 33}) {
    const Buffer w = test::random_weights(rng, GetParam(), 3, k, false);
    const auto x = test::random_floats(rng, static_cast<size_t>(k));
    ASSERT_TRUE(test::all_same(multiply(plain(), GetParam(), w, 3, k, x, 1),
                               multiply(*table, GetParam(), w, 3, k, x, 1)))
        << "k " << k;
  }
}

/// Products around the smallest normal number: subnormals are zeros, results are flushed by what
/// they round to.
TEST(Bf16Dot, TinyNumbersEqualTheTwin) {
  const KernelTable* const table = fast();
  if (table == nullptr) GTEST_SKIP() << "this processor has no AVX512_BF16";
  std::mt19937 rng(12);
  const int64_t rows = 64, k = 64, tokens = 12;
  Buffer w(static_cast<size_t>(rows * k * 2));
  auto* const bits = reinterpret_cast<uint16_t*>(w.data());
  for (int round = 0; round < 40; ++round) {
    for (int64_t i = 0; i < rows * k; ++i)
      bits[i] = static_cast<uint16_t>((rng() & 0x807fu) | ((rng() % 70) << 7));
    std::vector<float> x(static_cast<size_t>(tokens * k));
    for (float& value : x)
      value = std::bit_cast<float>(static_cast<uint32_t>(rng() & 0x807fffffu) |
                                   static_cast<uint32_t>((rng() % 70) << 23));
    ASSERT_TRUE(test::all_same(multiply(plain(), DType::bf16, w, rows, k, x, tokens),
                               multiply(*table, DType::bf16, w, rows, k, x, tokens)));
  }
}

/// One pair of inputs: sum of the odd product, then of the even one.
float pair(uint16_t w0, uint16_t w1, float x0, float x1) {
  Buffer w(4);
  auto* const bits = reinterpret_cast<uint16_t*>(w.data());
  bits[0] = w0;
  bits[1] = w1;
  return multiply(plain(), DType::bf16, w, 1, 2, {x0, x1}, 1)[0];
}

TEST(Bf16Dot, TheTwinFollowsItsRules) {
  EXPECT_EQ(pair(0x3f80, 0x4000, 3.0f, 5.0f), 13.0f);
  EXPECT_EQ(pair(0x3f80, 0x0000, 1.00390625f, 0.0f), 1.0f) << "rounded to even";
  EXPECT_EQ(pair(0x3f80, 0x0000, 1.01171875f, 0.0f), 1.015625f) << "rounded to even";
  EXPECT_EQ(pair(0x3f80, 0x0000, 0x1p-127f, 0.0f), 0.0f) << "subnormal activations are zero";
  EXPECT_EQ(pair(0x0040, 0x0000, 0x1p100f, 0.0f), 0.0f) << "subnormal weights are zero";
  EXPECT_EQ(pair(0x3f00, 0x0000, 0x1p-126f, 0.0f), 0.0f) << "subnormal results are zero";
  // 2^-126 first, then a little less: tiny by 24 bits, though it rounds to 2^-126 as a subnormal.
  EXPECT_EQ(pair(0x1a40, 0x0080, -0x1p-76f, 1.0f), 0.0f);
  EXPECT_EQ(pair(0x1a00, 0x0080, -0x1p-76f, 1.0f), 0x1p-126f) << "half a unit rounds to even";
  EXPECT_EQ(pair(0x3f80, 0x7f7f, 1.0f, 0x1p100f), INFINITY);
  EXPECT_TRUE(std::isnan(pair(0x3f80, 0x7f80, NAN, 1.0f)));
}

TEST_P(Bf16DotTest, IsCloseToTheExactProduct) {
  const DType type = GetParam();
  const int64_t k = 2304, rows = 5;
  std::mt19937 rng(13);
  const Buffer w = test::random_weights(rng, type, rows, k, false);
  const auto x = test::random_floats(rng, static_cast<size_t>(k));
  const auto found = multiply(plain(), type, w, rows, k, x, 1);
  std::vector<float> row(static_cast<size_t>(k));
  for (int64_t r = 0; r < rows; ++r) {
    to_float(type, w.data() + r * bytes_of(type, k), k, row.data());
    double exact = 0, norm = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      exact += double{row[i]} * x[i];
      norm += std::pow(double{row[i]} * x[i], 2);
    }
    // Both factors have 8 bits: relative errors up to 2^-8 a term, random signs.
    EXPECT_NEAR(found[static_cast<size_t>(r)], exact, 0.01 * std::sqrt(norm));
  }
}

TEST_P(Bf16DotTest, AnyCompanyGivesTheSameRow) {
  const DType type = GetParam();
  const int64_t k = 2080, rows = 9, tokens = 101;
  std::mt19937 rng(14);
  const Buffer w = test::random_weights(rng, type, rows, k, false);
  const auto x = test::random_floats(rng, static_cast<size_t>(tokens * k));
  const KernelTable& table = fast() != nullptr ? *fast() : plain();
  const auto together = multiply(table, type, w, rows, k, x, tokens);
  for (const int64_t t : {0, 50, 100}) {
    const auto alone =
        multiply(table, type, w, rows, k, {x.begin() + t * k, x.begin() + (t + 1) * k}, 1);
    EXPECT_TRUE(test::all_same(
        alone, {together.begin() + t * (rows + 3), together.begin() + (t + 1) * (rows + 3)}));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Bf16DotTest, ::testing::Values(DType::f16, DType::bf16),
                         [](const auto& type) { return std::string(weir::info(type.param).name); });

}  // namespace
}  // namespace weir
