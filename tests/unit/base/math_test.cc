// base/math.h against the C library in long double (more bits on every supported machine), and a
// fingerprint of the results that must be the same on every machine and compiler.
#include "base/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "base/error.h"

namespace weir {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

// SplitMix64: any fixed sequence does.
struct Bits {
  uint64_t state = 1;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double between(double low, double high) { return low + (high - low) * unit(); }
  // Any finite positive double, every exponent equally often.
  double positive() { return std::bit_cast<double>(next() % 0x7ff0000000000000u); }
};

// Distance in units of the last place of the exact value.
double ulps(double got, long double exact) {
  if (std::isnan(got) || std::isinf(got)) {
    return static_cast<long double>(std::numeric_limits<double>::max()) < std::fabs(exact) ? 0
                                                                                           : 1e9;
  }
  int exponent = 0;
  std::frexp(exact, &exponent);
  const long double ulp = std::ldexp(1.0L, std::max(exponent - 53, -1074));
  return static_cast<double>(std::fabs(static_cast<long double>(got) - exact) / ulp);
}

constexpr int kSamples = 50000;

TEST(Math, ExpWithinOneUlp) {
  Bits bits;
  double worst = 0;
  for (int i = 0; i < kSamples; ++i) {
    for (const double x : {bits.between(-708, 709.7), bits.between(-1, 1), bits.between(-50, 0)}) {
      worst = std::max(worst, ulps(math::exp(x), std::exp(static_cast<long double>(x))));
    }
  }
  EXPECT_LT(worst, 1.0);
  double subnormal = 0;
  for (int i = 0; i < kSamples; ++i) {
    const double x = bits.between(-746, -708);
    subnormal = std::max(subnormal, ulps(math::exp(x), std::exp(static_cast<long double>(x))));
  }
  EXPECT_LT(subnormal, 1.5);
  RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(Math, ExpEdges) {
  EXPECT_EQ(math::exp(0), 1);
  EXPECT_EQ(math::exp(-0.0), 1);
  EXPECT_EQ(math::exp(kInf), kInf);
  EXPECT_EQ(math::exp(-kInf), 0);
  EXPECT_EQ(math::exp(1e300), kInf);
  EXPECT_EQ(math::exp(-1e300), 0);
  EXPECT_EQ(math::exp(709.79), kInf);
  EXPECT_EQ(math::exp(-745.2), 0);
  EXPECT_EQ(math::exp(-745.1), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(math::exp(709.782712893384), std::exp(709.782712893384));
  EXPECT_EQ(math::exp(1e-300), 1);
  EXPECT_TRUE(std::isnan(math::exp(kNan)));
}

TEST(Math, LogWithinOneUlp) {
  Bits bits;
  double worst = 0;
  for (int i = 0; i < kSamples; ++i) {
    for (const double x : {bits.positive(), bits.between(0.5, 2), 1 + bits.between(-1e-6, 1e-6),
                           bits.between(1, 1e9)}) {
      worst = std::max(worst, ulps(math::log(x), std::log(static_cast<long double>(x))));
    }
  }
  EXPECT_LT(worst, 1.0);
  RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(Math, LogEdges) {
  EXPECT_EQ(math::log(1), 0);
  EXPECT_EQ(math::log(0), -kInf);
  EXPECT_EQ(math::log(-0.0), -kInf);
  EXPECT_EQ(math::log(kInf), kInf);
  EXPECT_TRUE(std::isnan(math::log(-1)));
  EXPECT_TRUE(std::isnan(math::log(kNan)));
  EXPECT_LT(ulps(math::log(5e-324), std::log(static_cast<long double>(5e-324))), 1.0);
}

TEST(Math, PowWithinOneUlp) {
  Bits bits;
  double worst = 0;
  for (int i = 0; i < kSamples; ++i) {
    const double x = bits.positive();
    // Exponents over the whole range that gives finite results.
    const double y = bits.between(-1, 1) * 708 / std::fabs(std::log(x));
    worst = std::max(worst, ulps(math::pow(x, y), std::pow(static_cast<long double>(x),
                                                           static_cast<long double>(y))));
    // RoPE bases.
    const double base = bits.between(1000, 5e6);
    const double fraction = -bits.unit();
    worst = std::max(
        worst, ulps(math::pow(base, fraction),
                    std::pow(static_cast<long double>(base), static_cast<long double>(fraction))));
    const double near_one = bits.between(0.9, 1.1);
    const double large = bits.between(-5000, 5000);
    worst = std::max(
        worst, ulps(math::pow(near_one, large),
                    std::pow(static_cast<long double>(near_one), static_cast<long double>(large))));
  }
  EXPECT_LT(worst, 1.0);
  RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(Math, PowAgreesWithTheCLibraryOnEdges) {
  const double edges[] = {0,
                          -0.0,
                          1,
                          -1,
                          2,
                          -2,
                          0.5,
                          -0.5,
                          3,
                          -3,
                          1.5,
                          -1.5,
                          kInf,
                          -kInf,
                          kNan,
                          1e308,
                          5e-324,
                          -1e308,
                          1e-308,
                          1025,
                          -1075,
                          1e18,
                          9007199254740993.0,
                          1 + 0x1p-52,
                          1 - 0x1p-53};
  for (const double x : edges) {
    for (const double y : edges) {
      const double expected = std::pow(x, y);
      const double got = math::pow(x, y);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(got)) << x << " ^ " << y;
      } else if (expected == 0 || std::isinf(expected)) {
        EXPECT_EQ(std::bit_cast<uint64_t>(got), std::bit_cast<uint64_t>(expected))
            << x << " ^ " << y;
      } else {
        EXPECT_LE(ulps(got, static_cast<long double>(expected)), 1.5) << x << " ^ " << y;
      }
    }
  }
}

TEST(Math, PowOfSmallIntegersIsExact) {
  for (int x = 1; x <= 20; ++x) {
    double power = 1;
    for (int y = 0; y <= 10 && power < 0x1p53; ++y, power *= x) {
      EXPECT_EQ(math::pow(x, y), power) << x << " ^ " << y;
    }
  }
}

TEST(Math, SinCosWithinOneUlp) {
  Bits bits;
  double worst = 0;
  const auto check = [&worst](double x) {
    const auto [sine, cosine] = math::sincos(x);
    worst = std::max(worst, ulps(sine, std::sin(static_cast<long double>(x))));
    worst = std::max(worst, ulps(cosine, std::cos(static_cast<long double>(x))));
  };
  for (int i = 0; i < kSamples; ++i) {
    check(bits.between(-1e9, 1e9));
    check(bits.between(-10, 10));
    check(bits.between(-1e5, 1e5));
    check(bits.between(-1, 1) * 1e-4);
    // Nearest doubles to multiples of pi/2: the hardest reductions.
    const double multiple =
        static_cast<double>(std::floor(bits.unit() * 6e8) * 1.57079632679489661923132169163975144L);
    check(multiple);
    check(std::nextafter(multiple, kInf));
  }
  EXPECT_LT(worst, 1.0);
  RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(Math, SinCosEdges) {
  EXPECT_TRUE(std::isnan(math::sincos(kInf).sin));
  EXPECT_TRUE(std::isnan(math::sincos(kNan).cos));
  EXPECT_TRUE(std::signbit(math::sincos(-0.0).sin));
  EXPECT_EQ(math::sincos(0).cos, 1);
  EXPECT_NO_THROW(math::sincos(math::kMaxAngle));
  EXPECT_THROW(math::sincos(math::kMaxAngle * 1.001), Error);
}

// The same number on every machine, compiler and ISA, or answers differ between them.
TEST(Math, FingerprintIsTheSameEverywhere) {
  Bits bits;
  uint64_t hash = 14695981039346656037u;
  const auto mix = [&hash](double value) {
    hash = (hash ^ std::bit_cast<uint64_t>(value)) * 1099511628211u;
  };
  for (int i = 0; i < 100000; ++i) {
    mix(math::exp(bits.between(-745, 709)));
    mix(math::log(bits.positive()));
    const double base = bits.between(1e-3, 1e6);
    mix(math::pow(base, bits.between(-30, 30)));
    const auto [sine, cosine] = math::sincos(bits.between(-1e9, 1e9));
    mix(sine);
    mix(cosine);
  }
  EXPECT_EQ(hash, 0x9a5722224b883accu);
}

}  // namespace
}  // namespace weir
