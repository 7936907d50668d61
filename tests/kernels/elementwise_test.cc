// Quantisation, norms, rope, activations, softmax: every table equals ref bit for bit at odd sizes
// and on special values; ref stays within its stated error of the C library.
#include <fmt/format.h>

#include "kernels/ref/math.h"
#include "kernels/support.h"

namespace weir {
namespace {

using kernels::Activation;
using kernels::KernelTable;

/// Normal values, and every eleventh one special.
std::vector<float> special_floats(std::mt19937& rng, size_t n) {
  auto x = test::random_floats(rng, n, 3.0f);
  const float specials[] = {0.0f,  -0.0f, 1e-42f,   -1e-42f,   100.0f, -104.3f, -200.0f,
                            88.9f, 3e38f, INFINITY, -INFINITY, NAN,    0.625f,  -0.6249f};
  for (size_t i = 5, j = 0; i < n; i += 11, ++j) x[i] = specials[j % std::size(specials)];
  return x;
}

template <typename F>
void for_tables_and_sizes(F f) {
  for (const KernelTable* table : test::fast_tables())
    for (const int64_t n : {1, 2, 7, 15, 16, 17, 31, 33, 64, 100, 257}) f(*table, n);
}

TEST(Elementwise, ActivationsEqualRef) {
  std::mt19937 rng(1);
  for_tables_and_sizes([&](const KernelTable& table, int64_t n) {
    const auto x = special_floats(rng, static_cast<size_t>(n));
    const auto up = test::random_floats(rng, static_cast<size_t>(n));
    for (int f = 0; f <= static_cast<int>(Activation::relu_squared); ++f)
      for (const float* gate : {up.data(), static_cast<const float*>(nullptr)}) {
        std::vector<float> expected(x.size()), found(x.size());
        kernels::ref_table().activate(Activation(f), x.data(), gate, n, expected.data());
        table.activate(Activation(f), x.data(), gate, n, found.data());
        EXPECT_TRUE(test::all_same(expected, found)) << table.isa << " " << f << " n " << n;
      }
  });
}

TEST(Elementwise, NormsEqualRef) {
  std::mt19937 rng(2);
  for_tables_and_sizes([&](const KernelTable& table, int64_t n) {
    const auto x = test::random_floats(rng, static_cast<size_t>(n));
    const auto w = test::random_floats(rng, static_cast<size_t>(n));
    const auto b = test::random_floats(rng, static_cast<size_t>(n));
    std::vector<float> expected(x.size()), found(x.size());
    for (const float* weight : {w.data(), static_cast<const float*>(nullptr)}) {
      kernels::ref_table().rms_norm(x.data(), weight, n, 1e-5f, expected.data());
      table.rms_norm(x.data(), weight, n, 1e-5f, found.data());
      EXPECT_TRUE(test::all_same(expected, found)) << table.isa << " rms n " << n;
      for (const float* bias : {b.data(), static_cast<const float*>(nullptr)}) {
        kernels::ref_table().layer_norm(x.data(), weight, bias, n, 1e-5f, expected.data());
        table.layer_norm(x.data(), weight, bias, n, 1e-5f, found.data());
        EXPECT_TRUE(test::all_same(expected, found)) << table.isa << " layer n " << n;
      }
    }
  });
}

TEST(Elementwise, RopeSoftmaxSoftcapHalfEqualRef) {
  std::mt19937 rng(3);
  for_tables_and_sizes([&](const KernelTable& table, int64_t n) {
    const auto size = static_cast<size_t>(n);
    const auto cos = test::random_floats(rng, size), sin = test::random_floats(rng, size);
    const auto x = test::random_floats(rng, 2 * size);
    for (const auto rope : {&KernelTable::rope_adjacent, &KernelTable::rope_split}) {
      auto expected = x, found = x;
      (kernels::ref_table().*rope)(expected.data(), cos.data(), sin.data(), n);
      (table.*rope)(found.data(), cos.data(), sin.data(), n);
      EXPECT_TRUE(test::all_same(expected, found)) << table.isa << " rope n " << n;
    }
    auto expected = x, found = x;
    kernels::ref_table().softmax(expected.data(), n);
    table.softmax(found.data(), n);
    EXPECT_TRUE(test::all_same(expected, found)) << table.isa << " softmax n " << n;
    expected = found = special_floats(rng, size);
    kernels::ref_table().softcap(expected.data(), n, 30.0f);
    table.softcap(found.data(), n, 30.0f);
    EXPECT_TRUE(test::all_same(expected, found)) << table.isa << " softcap n " << n;
    const auto wide = special_floats(rng, size);
    std::vector<uint16_t> a(size), b(size);
    kernels::ref_table().to_half(wide.data(), n, a.data());
    table.to_half(wide.data(), n, b.data());
    EXPECT_EQ(a, b) << table.isa << " to_half n " << n;
  });
}

// The others are so small beside the first that the sum is 1: softmax gives exp itself, down to the
// smallest subnormal numbers and below them.
TEST(Elementwise, ExpEqualsRefWhereItIsSubnormal) {
  std::vector<float> x(4001);
  for (size_t i = 1; i < x.size(); ++i) x[i] = -80.0f - 0.0065f * static_cast<float>(i);
  auto expected = x;
  kernels::ref_table().softmax(expected.data(), static_cast<int64_t>(x.size()));
  ASSERT_EQ(expected[0], 1.0f);
  ASSERT_EQ(expected.back(), 0.0f);
  for (const KernelTable* table : test::fast_tables()) {
    auto found = x;
    table->softmax(found.data(), static_cast<int64_t>(x.size()));
    EXPECT_TRUE(test::all_same(expected, found)) << table->isa;
  }
}

struct Quantised {
  std::vector<int8_t> q;
  std::vector<float> d;
  std::vector<int16_t> s;
  std::vector<kernels::Peak> peak;
};
Quantised quantised(const KernelTable& table, const std::vector<float>& x, bool wide) {
  const size_t n = x.size();
  Quantised to{std::vector<int8_t>(n), std::vector<float>(n / 32), std::vector<int16_t>(n / 16),
               std::vector<kernels::Peak>(n / 256)};
  const auto k = static_cast<int64_t>(n);
  if (wide) {
    table.quantize256(x.data(), k, to.q.data(), to.d.data(), to.s.data(), to.peak.data());
  } else {
    table.quantize32(x.data(), k, to.q.data(), to.d.data(), to.s.data());
  }
  return to;
}

TEST(Elementwise, QuantisationEqualsRef) {
  std::mt19937 rng(4);
  for (const KernelTable* table : test::fast_tables())
    for (const int64_t k : {256, 512, 2304})
      for (int round = 0; round < 4; ++round) {
        const auto size = static_cast<size_t>(k);
        auto x = round < 2 ? test::random_floats(rng, size) : special_floats(rng, size);
        if (round == 1) std::fill(x.begin(), x.begin() + 256, 1e-33f);
        if (round == 3)
          for (float& v : x)
            if (!std::isfinite(v)) v = 0.5f;
        for (const bool wide : {false, true}) {
          const auto expected = quantised(kernels::ref_table(), x, wide);
          const auto found = quantised(*table, x, wide);
          EXPECT_EQ(expected.q, found.q) << table->isa;
          EXPECT_EQ(expected.s, found.s) << table->isa;
          EXPECT_TRUE(test::all_same(expected.d, found.d)) << table->isa;
          for (size_t b = 0; b < size / 256; ++b) {
            EXPECT_EQ(expected.peak[b].of_16, found.peak[b].of_16) << table->isa;
            EXPECT_EQ(expected.peak[b].of_32, found.peak[b].of_32) << table->isa;
          }
        }
      }
}

TEST(Elementwise, PeaksAreWhatWeightsCanReach) {
  for (const KernelTable* table : kernels::tables()) {
    std::vector<float> x(1024, 0.0f);
    std::fill_n(x.begin() + 16, 16, 1.0f);  // a run of 16, all at most
    for (size_t i = 256; i < 512; ++i) x[i] = i % 2 == 0 ? 1.0f : -1.0f;
    std::fill_n(x.begin() + 512 + 48, 32, -1.0f);  // one half in each of two runs of 32
    x[768] = NAN;
    const auto peak = quantised(*table, x, true).peak;
    const int expected[4][2] = {
        {16 * 127, 16 * 127}, {16 * 127, 16 * 127}, {16 * 127, 16 * 127}, {}};
    for (size_t b = 0; b < 4; ++b) {
      EXPECT_EQ(peak[b].of_16, expected[b][0]) << table->isa << ' ' << b;
      EXPECT_EQ(peak[b].of_32, expected[b][1]) << table->isa << ' ' << b;
    }
    std::fill_n(x.begin() + 512 + 32, 64, -1.0f);
    EXPECT_EQ(quantised(*table, x, true).peak[2].of_32, 32 * 127) << table->isa;
  }
}

TEST(Elementwise, HalfStepsEqualRefAndStayWithinHalfAStep) {
  std::mt19937 rng(8);
  for (const int64_t k : {32, 64, 96, 1024}) {
    auto x = test::random_floats(rng, static_cast<size_t>(k), 3.0f);
    if (k == 64) std::fill_n(x.begin(), 32, 0.0f);
    if (k == 96) x[40] = NAN, x[70] = -INFINITY;
    if (k == 1024)
      for (size_t i = 0; i < x.size(); ++i)  // magnitudes whose 8 / x rounds up and down
        x[i] *= i % 32 == 0 ? 50.0f : 1.0f, x[i] = i % 64 == 0 ? -std::abs(x[i]) : x[i];
    std::vector<int8_t> q(x.size()), found_q(x.size());
    std::vector<float> d(x.size() / 32), found_d(d.size());
    kernels::ref_table().quantize4(x.data(), k, q.data(), d.data());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_TRUE(q[i] % 2 != 0 && std::abs(q[i]) <= 15) << int{q[i]};
      if (!std::isfinite(d[i / 32])) continue;
      EXPECT_LE(std::abs(x[i] - d[i / 32] * q[i]), d[i / 32] * 1.00001f) << x[i];
    }
    if (k == 96) {
      EXPECT_TRUE(!std::isnan(d[0]) && std::isnan(d[1]) && std::isnan(d[2]));
    }
    for (const KernelTable* table : test::fast_tables()) {
      table->quantize4(x.data(), k, found_q.data(), found_d.data());
      EXPECT_TRUE(test::all_same(d, found_d)) << table->isa << " k " << k;
      EXPECT_EQ(q, found_q) << table->isa << " k " << k;
    }
  }
}

TEST(Elementwise, HadamardEqualsRefAndIsItsOwnInverse) {
  std::mt19937 rng(9);
  for (const int64_t n : {32, 64, 128, 256, 512, 1024}) {
    const auto x = test::random_floats(rng, static_cast<size_t>(n));
    auto expected = x;
    kernels::ref_table().hadamard(expected.data(), n);
    for (int64_t row : {int64_t{0}, int64_t{5}, n - 1}) {  // Sylvester: sign by the common bits
      double sum = 0;
      for (int64_t i = 0; i < n; ++i)
        sum += (std::popcount(static_cast<uint64_t>(row & i)) % 2 == 0 ? 1 : -1) * double{x[i]};
      EXPECT_NEAR(expected[row], sum / std::sqrt(static_cast<double>(n)), 1e-5);
    }
    auto back = expected;
    kernels::ref_table().hadamard(back.data(), n);
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(back[i], x[i], 1e-5);
    for (const KernelTable* table : test::fast_tables()) {
      auto found = special_floats(rng, static_cast<size_t>(n));
      auto same = found;
      table->hadamard(found.data(), n);
      kernels::ref_table().hadamard(same.data(), n);
      EXPECT_TRUE(test::all_same(same, found)) << table->isa << " n " << n;
      found = x;
      table->hadamard(found.data(), n);
      EXPECT_TRUE(test::all_same(expected, found)) << table->isa << " n " << n;
    }
  }
}

TEST(CanonicalMath, StaysNearTheCLibrary) {
  double worst_exp = 0, worst_tanh = 0, worst_gelu = 0, worst_gelu_tanh = 0, worst_silu = 0;
  for (double x = -87.0; x < 88.0; x += 0.00731) {
    const float f = static_cast<float>(x);
    const double e = std::exp(double{f});
    worst_exp = std::max(worst_exp, std::abs(kernels::ref::exp(f) - e) / e);
    const double t = std::tanh(double{f} / 8);
    if (t != 0)
      worst_tanh = std::max(worst_tanh, std::abs(kernels::ref::tanh(f / 8) - t) / std::abs(t));
    const double z = double{f} / 8, g = 0.5 * z * std::erfc(-z / std::sqrt(2.0));
    worst_gelu = std::max(worst_gelu, std::abs(kernels::ref::gelu_erf(f / 8) - g));
    const double u = std::sqrt(2.0 / M_PI) * (z + 0.044715 * z * z * z);
    const double gt = 0.5 * z * (1.0 + std::tanh(u));
    worst_gelu_tanh = std::max(worst_gelu_tanh, std::abs(kernels::ref::gelu_tanh(f / 8) - gt));
    const double s = double{f} / (1.0 + std::exp(-double{f}));
    if (s != 0)
      worst_silu = std::max(worst_silu, std::abs(kernels::ref::silu(f) - s) / std::abs(s));
  }
  EXPECT_LT(worst_exp, 1.2e-7);  // stated in docs/numerics.md
  EXPECT_LT(worst_tanh, 2.4e-7);
  EXPECT_LT(worst_gelu, 2.0e-6);
  EXPECT_LT(worst_gelu_tanh, 5.3e-7);
  EXPECT_LT(worst_silu, 1.5e-7);
  EXPECT_EQ(kernels::ref::exp(0.0f), 1.0f);
  EXPECT_EQ(kernels::ref::exp(-INFINITY), 0.0f);
  EXPECT_EQ(kernels::ref::exp(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(kernels::ref::exp(NAN)));
}

}  // namespace
}  // namespace weir
