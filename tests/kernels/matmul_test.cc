// Every matmul of every table equals ref bit for bit: odd row counts, 1 to 70 tokens, k across the
// segment border, tame and hostile weights.
#include <fmt/format.h>

#include <cstring>
#include <type_traits>
#include <utility>

#include "kernels/support.h"

namespace weir {
namespace {

using kernels::KernelTable;
using kernels::MatmulArgs;

std::vector<float> multiply(const KernelTable& table, DType type, const Buffer& w, int64_t rows,
                            int64_t k, test::Activations& x, int64_t tokens) {
  MatmulArgs args;
  x.bind(args);
  args.tokens = tokens;
  return test::multiply(table, type, w, rows, k, args);
}

class MatmulTest : public ::testing::TestWithParam<DType> {};

TEST_P(MatmulTest, EqualsRefOnOddShapes) {
  const DType type = GetParam();
  const int64_t block = info(type).block_elements;
  std::mt19937 rng(7);
  for (const bool wild : {false, true}) {
    for (const int64_t rows : {1, 3, 16, 37, 67}) {
      std::vector<int64_t> widths = {block, 3 * block, 2048, 2048 + block};
      if (block == 1) widths = {1, 7, 16, 33, 2048, 2055};
      for (const int64_t k : widths) {
        const Buffer w = test::random_weights(rng, type, rows, k, wild);
        for (const int64_t tokens : {1, 2, 3, 4, 5, 6, 7, 8, 12, 33, 70}) {
          if (rows == 67 && tokens != 70 && tokens != 33 && tokens != 1) continue;
          if (rows != 67 && tokens == 70) continue;
          test::Activations x(test::random_floats(rng, static_cast<size_t>(tokens * k)), tokens, k,
                              info(type).kind);
          const auto expected = multiply(kernels::ref_table(), type, w, rows, k, x, tokens);
          for (const KernelTable* table : test::fast_tables())
            ASSERT_TRUE(test::all_same(expected, multiply(*table, type, w, rows, k, x, tokens)))
                << fmt::format("{} {} rows {} k {} tokens {} wild {}", table->isa, info(type).name,
                               rows, k, tokens, wild);
        }
      }
    }
  }
}

TEST_P(MatmulTest, AnyCompanyGivesTheSameRow) {
  const DType type = GetParam();
  const int64_t k = 2304, rows = 21, tokens = 33;
  std::mt19937 rng(8);
  const Buffer w = test::random_weights(rng, type, rows, k, false);
  const auto values = test::random_floats(rng, static_cast<size_t>(tokens * k));
  test::Activations all(values, tokens, k, info(type).kind);
  for (const KernelTable* table : kernels::tables()) {
    const auto together = multiply(*table, type, w, rows, k, all, tokens);
    for (const int64_t t : {0, 11, 32}) {
      test::Activations one({values.begin() + t * k, values.begin() + (t + 1) * k}, 1, k,
                            info(type).kind);
      const auto alone = multiply(*table, type, w, rows, k, one, 1);
      const std::vector<float> row(together.begin() + t * (rows + 3),
                                   together.begin() + (t + 1) * (rows + 3));
      ASSERT_TRUE(test::all_same(alone, row)) << table->isa << " token " << t;
    }
  }
}

TEST_P(MatmulTest, RefIsCloseToTheDequantisedProduct) {
  const DType type = GetParam();
  const int64_t k = 2304, rows = 5;
  std::mt19937 rng(9);
  const Buffer w = test::random_weights(rng, type, rows, k, false);
  const auto values = test::random_floats(rng, static_cast<size_t>(k));
  test::Activations x(values, 1, k, info(type).kind);
  const auto found = multiply(kernels::ref_table(), type, w, rows, k, x, 1);
  std::vector<float> row(static_cast<size_t>(k));
  for (int64_t r = 0; r < rows; ++r) {
    to_float(type, w.data() + r * bytes_of(type, k), k, row.data());
    double exact = 0, norm = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      exact += double{row[i]} * values[i];
      norm += std::pow(double{row[i]} * values[i], 2);
    }
    // int8 activations: relative error about 1/254 a term, random signs
    EXPECT_NEAR(found[static_cast<size_t>(r)], exact, 0.05 * std::sqrt(norm) + 1e-6);
  }
}

TEST_P(MatmulTest, BadActivationsReachTheOutput) {
  const DType type = GetParam();
  std::mt19937 rng(10);
  const int64_t k = 512, rows = 19;
  const Buffer w = test::random_weights(rng, type, rows, k, false);
  auto values = test::random_floats(rng, static_cast<size_t>(3 * k));
  values[static_cast<size_t>(k) + 300] = NAN;
  test::Activations x(values, 3, k, info(type).kind);
  for (const KernelTable* table : kernels::tables()) {
    const auto out = multiply(*table, type, w, rows, k, x, 3);
    for (int64_t r = 0; r < rows; ++r) {
      EXPECT_TRUE(std::isfinite(out[static_cast<size_t>(r)])) << table->isa;
      EXPECT_TRUE(std::isnan(out[static_cast<size_t>(rows + 3 + r)])) << table->isa;
      EXPECT_TRUE(std::isfinite(out[static_cast<size_t>(2 * (rows + 3) + r)])) << table->isa;
    }
  }
}

/// Sets all bytes of blocks but their floats and scales of whole bytes, of which 0 would hide sums.
template <typename Block>
void fill_quants(Buffer& w, std::byte value) {
  for (std::byte* at = w.data(); at < w.data() + w.size(); at += sizeof(Block)) {
    Block before, after;
    std::memcpy(&before, at, sizeof(Block));
    std::memset(&after, static_cast<int>(value), sizeof(Block));
    after.d = before.d;
    if constexpr (requires { after.dmin; }) after.dmin = before.dmin;
    if constexpr (std::is_same_v<Block, BlockQ6_K>)
      std::memcpy(after.scales, before.scales, sizeof after.scales);
    std::memcpy(at, &after, sizeof(Block));
  }
}

/// Kernels may reckon in 16 bits, or fold scales into bytes, where sums and products fit: here they
/// are as large as they can be, and just around what fits.
TEST(MatmulExtremes, SumsAroundSixteenBitsAndProductsAroundABytesRange) {
  std::mt19937 rng(12);
  const int64_t k = 2304, rows = 35, tokens = 7;
  for (const DType type :
       {DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq4_xs}) {
    for (const int bits : {0x00, 0x7f, 0x80, 0xff}) {
      Buffer w = test::random_weights(rng, type, rows, k, false);
      const auto value = static_cast<std::byte>(bits);
      if (type == DType::q2_k) fill_quants<BlockQ2_K>(w, value);
      if (type == DType::q3_k) fill_quants<BlockQ3_K>(w, value);
      if (type == DType::q4_k) fill_quants<BlockQ4_K>(w, value);
      if (type == DType::q5_k) fill_quants<BlockQ5_K>(w, value);
      if (type == DType::q6_k) fill_quants<BlockQ6_K>(w, value);
      if (type == DType::iq4_xs) fill_quants<BlockIQ4_XS>(w, value);
      // 31 x 1057 (Q5_K), 32 x 1023 (Q6_K) and 15 x 2184 (Q4_K) fit 16 bits, one more does not.
      const std::pair<int, int> sizes[] = {{8, 0},   {31, 0}, {33, 1}, {33, 2}, {34, 0}, {63, 15},
                                           {63, 16}, {64, 0}, {68, 8}, {68, 9}, {69, 0}, {127, 0}};
      for (const auto& [size, extra] : sizes) {
        std::vector<float> values(static_cast<size_t>(k * tokens));
        for (size_t i = 0; i < values.size(); ++i) {
          // Whole runs of one sign; 127 in each block, in a small run, so that nothing is rounded.
          const bool negative = (i / 16 + i / static_cast<size_t>(k)) % 3 == 0;
          int one = size + (i % 32 == 0 ? extra : 0);
          if (i % 256 >= 224) one = i % 256 == 255 ? 127 : 1;
          values[i] = static_cast<float>(negative ? -one : one);
        }
        test::Activations x(values, tokens, k, info(type).kind);
        const auto expected = multiply(kernels::ref_table(), type, w, rows, k, x, tokens);
        for (const KernelTable* table : test::fast_tables())
          ASSERT_TRUE(test::all_same(expected, multiply(*table, type, w, rows, k, x, tokens)))
              << fmt::format("{} {} bytes {:02x} size {} + {}", table->isa, info(type).name, bits,
                             size, extra);
      }
    }
  }
}

/// Floats go through rows in blocks and slices: several of them, and whole and broken ones, with
/// tokens that are one tile, two or many.
TEST(MatmulFloats, BlocksOfRowsAndSlicesForFewAndManyTokens) {
  std::mt19937 rng(14);
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    for (const auto& [rows, k] :
         {std::pair<int64_t, int64_t>{64, 512}, {131, 530}, {67, 2055}, {66, 4111}}) {
      const Buffer w = test::random_weights(rng, type, rows, k, false);
      for (const int64_t tokens : {1, 2, 7, 12, 13, 19, 25}) {
        test::Activations x(test::random_floats(rng, static_cast<size_t>(tokens * k)), tokens, k,
                            info(type).kind);
        const auto expected = multiply(kernels::ref_table(), type, w, rows, k, x, tokens);
        for (const KernelTable* table : test::fast_tables())
          ASSERT_TRUE(test::all_same(expected, multiply(*table, type, w, rows, k, x, tokens)))
              << fmt::format("{} {} rows {} k {} tokens {}", table->isa, info(type).name, rows, k,
                             tokens);
      }
    }
  }
}

/// Kernels for few tokens arrange activations in their scratch, where they fit.
TEST(MatmulExtremes, RowsLongerThanTheScratch) {
  std::mt19937 rng(13);
  const int64_t k = static_cast<int64_t>(kernels::kMatmulScratch), rows = 2;
  for (const DType type : {DType::q8_0, DType::q4_k}) {
    const Buffer w = test::random_weights(rng, type, rows, k, false);
    for (const int64_t tokens : {1, 2}) {
      test::Activations x(test::random_floats(rng, static_cast<size_t>(tokens * k)), tokens, k,
                          info(type).kind);
      const auto expected = multiply(kernels::ref_table(), type, w, rows, k, x, tokens);
      for (const KernelTable* table : test::fast_tables())
        ASSERT_TRUE(test::all_same(expected, multiply(*table, type, w, rows, k, x, tokens)))
            << fmt::format("{} {} tokens {}", table->isa, info(type).name, tokens);
    }
  }
}

std::vector<DType> weight_types() {
  std::vector<DType> types;
  for (const DTypeInfo& row : all_dtypes())
    if (row.kind != DTypeClass::other) types.push_back(row.type);
  return types;
}

std::string type_name(const ::testing::TestParamInfo<DType>& type) {
  return std::string(info(type.param).name);
}

INSTANTIATE_TEST_SUITE_P(AllTypes, MatmulTest, ::testing::ValuesIn(weight_types()), type_name);

}  // namespace
}  // namespace weir
