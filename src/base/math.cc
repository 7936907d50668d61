#include "base/math.h"

#include <array>
#include <bit>
#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/error.h"

// Excess precision or a fused multiply-add would change results between machines.
static_assert(FLT_EVAL_METHOD == 0, "double arithmetic must round to double after each operation");

namespace weir::math {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// ln 2 = kLn2Hi + kLn2Lo + ...; the first part has 42 bits, so k * kLn2Hi is exact for |k| < 2^11.
constexpr double kLn2Hi = 0x1.62e42fefa3800p-1;
constexpr double kLn2Lo = 0x1.ef35793c76730p-45;
constexpr double kInverseLn2 = 0x1.71547652b82fep+0;
// pi/2 as the exact sum of three doubles (about 160 bits).
constexpr std::array<double, 3> kHalfPi = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54,
                                           -0x1.f1976b7ed8fbcp-110};
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;

// An unevaluated sum hi + lo with |lo| <= ulp(hi) / 2.
struct Pair {
  double hi;
  double lo;
};

// The error-free transformations below are Dekker's and Knuth's.
Pair two_sum(double a, double b) {
  const double sum = a + b;
  const double other = sum - a;
  return {sum, (a - (sum - other)) + (b - other)};
}

// Needs |a| >= |b| or a == 0.
Pair fast_two_sum(double a, double b) {
  const double sum = a + b;
  return {sum, b - (sum - a)};
}

Pair split(double a) {
  const double scaled = 134217729.0 * a;  // 2^27 + 1
  const double hi = scaled - (scaled - a);
  return {hi, a - hi};
}

// Exact for |a|, |b| < 2^996 unless the product comes near the subnormals.
Pair two_product(double a, double b) {
  const double product = a * b;
  const Pair x = split(a);
  const Pair y = split(b);
  return {product, ((x.hi * y.hi - product) + x.hi * y.lo + x.lo * y.hi) + x.lo * y.lo};
}

Pair multiply(Pair a, Pair b) {
  const Pair p = two_product(a.hi, b.hi);
  return fast_two_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

Pair add(Pair a, Pair b) {
  const Pair s = two_sum(a.hi, b.hi);
  return fast_two_sum(s.hi, s.lo + (a.lo + b.lo));
}

// Nearest integer (ties to even) for |x| < 2^51.
double round_to_integer(double x) {
  constexpr double kShift = 0x1.8p52;
  return (x + kShift) - kShift;
}

template <size_t N>
double polynomial(double x, const std::array<double, N>& coefficients) {
  double sum = coefficients[N - 1];
  for (size_t i = N - 1; i-- > 0;) sum = sum * x + coefficients[i];
  return sum;
}

// Coefficient i is sign^i / (start + step * i)!.
template <size_t N>
constexpr std::array<double, N> inverse_factorials(int start, int step, double sign) {
  std::array<double, N> result{};
  double factorial = 1;  // exact up to 18!, and rounded once a step beyond, where it hardly counts
  int n = 1;
  double s = 1;
  for (size_t i = 0; i < N; ++i, s *= sign) {
    for (; n <= start + step * static_cast<int>(i); ++n) factorial *= n;
    result[i] = s / factorial;
  }
  return result;
}

// value * 2^k for value in [0.5, 2] and k in [-1080, 1025], rounded once.
double scale(double value, int k) {
  const auto power = [](int e) {
    return std::bit_cast<double>(static_cast<uint64_t>(e + 1023) << 52);
  };
  if (k > 1000) return value * power(k - 100) * power(100);
  if (k < -1000) return value * power(k + 200) * power(-200);
  return value * power(k);
}

// e^(x.hi + x.lo) for |x.hi| < 800.
double exp_pair(Pair x) {
  if (x.hi > 710) return kInfinity;
  if (x.hi < -746) return 0;
  // x = k ln 2 + r + rest, |r| < 0.35. The first difference is exact.
  const double k = round_to_integer(x.hi * kInverseLn2);
  const double lead = x.hi - k * kLn2Hi;
  const double tail = k * kLn2Lo - x.lo;
  const double r = lead - tail;
  const double rest = (lead - r) - tail;
  // Taylor: the first term left out is r^14/14! < 5e-18.
  static constexpr auto kTerms = inverse_factorials<12>(2, 1, 1.0);
  return scale(1 + (r + (r * r * polynomial(r, kTerms) + rest)), static_cast<int>(k));
}

// x = 2^exponent (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); f is exact. For finite x > 0.
struct Decomposed {
  int exponent;
  double f;
};

Decomposed decompose(double x) {
  int exponent = 0;
  if (x < DBL_MIN) {
    x *= 0x1p54;
    exponent = -54;
  }
  const auto bits = std::bit_cast<uint64_t>(x);
  exponent += static_cast<int>(bits >> 52) - 1023;
  double mantissa =
      std::bit_cast<double>((bits & ((uint64_t{1} << 52) - 1)) | (uint64_t{1023} << 52));
  if (mantissa >= 0x1.6a09e667f3bcdp+0) {
    mantissa *= 0.5;
    ++exponent;
  }
  return {exponent, mantissa - 1};
}

// 1/(2i + 1) from i = First: the series of atanh(s)/s in powers of s^2.
template <int First, size_t N>
constexpr std::array<double, N> atanh_terms() {
  std::array<double, N> result{};
  for (size_t i = 0; i < N; ++i) result[i] = 1.0 / (2 * (First + static_cast<int>(i)) + 1);
  return result;
}

// ln x for finite x > 0, to about 2^-69 relative.
Pair log_pair(double x) {
  const auto [exponent, f] = decompose(x);
  // s = f / (2 + f); ln(1 + f) = 2 atanh(s) = 2s (1 + z/3 + z^2/5 + ...), z = s^2 < 0.0295.
  const Pair divisor = fast_two_sum(2, f);
  const double quotient = f / divisor.hi;
  const Pair back = two_product(quotient, divisor.hi);
  const double remainder = ((f - back.hi) - back.lo) - quotient * divisor.lo;
  const Pair s = fast_two_sum(quotient, remainder / divisor.hi);
  const Pair z = multiply(s, s);
  static constexpr auto kTerms = atanh_terms<3, 12>();
  constexpr Pair kFifth = {0.2, -0x1.999999999999ap-58};
  constexpr Pair kThird = {1.0 / 3, 0x1.5555555555555p-56};
  const Pair fifth = add(kFifth, two_sum(z.hi * polynomial(z.hi, kTerms), 0));
  const Pair third = add(kThird, multiply(z, fifth));
  const Pair series = add({1, 0}, multiply(z, third));
  const Pair log_mantissa = multiply({2 * s.hi, 2 * s.lo}, series);
  const Pair log_power = fast_two_sum(exponent * kLn2Hi, exponent * kLn2Lo);
  return add(log_power, log_mantissa);
}

bool is_nan(double x) { return x != x; }
double magnitude(double x) {
  return std::bit_cast<double>(std::bit_cast<uint64_t>(x) & ~(uint64_t{1} << 63));
}
bool is_negative(double x) { return (std::bit_cast<uint64_t>(x) >> 63) != 0; }

enum class Parity { not_integer, odd, even };

Parity parity(double y) {
  const double size = magnitude(y);
  if (size >= 0x1p53) return Parity::even;
  if (size < 1) return Parity::not_integer;
  const auto whole = static_cast<int64_t>(size);
  if (static_cast<double>(whole) != size) return Parity::not_integer;
  return whole % 2 != 0 ? Parity::odd : Parity::even;
}

// |y ln x| decides before any product can overflow; x finite, > 0, != 1; y finite, != 0.
double pow_positive(double x, double y) {
  const Pair l = log_pair(x);
  const double estimate = y * l.hi;
  if (estimate > 750) return kInfinity;
  if (estimate < -750) return 0;
  if (magnitude(estimate) < 0x1p-60) return 1;
  // |ln x| >= 2^-53, so |y| < 2^63 here and the split cannot overflow.
  const Pair product = two_product(y, l.hi);
  return exp_pair(fast_two_sum(product.hi, product.lo + y * l.lo));
}

}  // namespace

double exp(double x) {
  if (is_nan(x)) return x;
  if (x > 710) return kInfinity;
  if (x < -746) return 0;
  return exp_pair({x, 0});
}

double log(double x) {
  if (is_nan(x) || x == kInfinity) return x;
  if (x == 0) return -kInfinity;
  if (x < 0) return kNan;
  const auto [exponent, f] = decompose(x);
  // As in log_pair, with 2s = f - s f = f - f^2/2 + s f^2/2, which keeps the error in small terms.
  const double s = f / (2 + f);
  const double z = s * s;
  static constexpr auto kTerms = atanh_terms<1, 11>();
  const double series = 2 * z * polynomial(z, kTerms);
  const double half_square = 0.5 * f * f;
  const double tail = half_square - (s * (half_square + series) + exponent * kLn2Lo);
  return exponent * kLn2Hi - (tail - f);
}

double pow(double x, double y) {
  if (y == 0 || x == 1) return 1;
  if (is_nan(x) || is_nan(y)) return kNan;
  const double size = magnitude(x);
  if (magnitude(y) == kInfinity) {
    if (size == 1) return 1;
    return (size > 1) == (y > 0) ? kInfinity : 0;
  }
  const Parity kind = parity(y);
  const double sign = is_negative(x) && kind == Parity::odd ? -1 : 1;
  if (size == 0) return sign * (y > 0 ? 0.0 : kInfinity);
  if (size == kInfinity) return sign * (y > 0 ? kInfinity : 0.0);
  if (x < 0 && kind == Parity::not_integer) return kNan;
  if (size == 1) return sign;
  return sign * pow_positive(size, y);
}

SinCos sincos(double x) {
  const double size = magnitude(x);
  if (is_nan(x) || size == kInfinity) return {kNan, kNan};
  WEIR_CHECK(size <= kMaxAngle, "angle {} is larger than {}", x, kMaxAngle);
  if (size < 0x1p-27) return {x, 1};

  // r = x - n pi/2, |r| <= pi/4 (a hair more), as hi + lo. The products with the first two parts of
  // pi/2 are exact pairs and the first difference is exact, so r is good to 2^-128 absolute, while
  // no double up to 2^30 comes nearer than 2^-62 to a multiple of pi/2.
  const double n = round_to_integer(x * kTwoOverPi);
  const Pair first = two_product(n, kHalfPi[0]);
  const Pair second = two_product(n, kHalfPi[1]);
  const Pair a = two_sum(x - first.hi, -first.lo);
  const Pair b = two_sum(a.hi, -second.hi);
  const Pair r = two_sum(b.hi, ((a.lo + b.lo) - second.lo) - n * kHalfPi[2]);

  // Taylor; the first terms left out are r^19/19! < 9e-20 and r^20/20! < 4e-21.
  static constexpr auto kSine = inverse_factorials<8>(3, 2, -1.0);
  static constexpr auto kCosine = inverse_factorials<8>(4, 2, -1.0);
  const double z = r.hi * r.hi;
  const double half = 0.5 * z;
  const double sine = r.hi + (r.lo * (1 - half) - z * r.hi * polynomial(z, kSine));
  const double lead = 1 - half;
  const double cosine =
      lead + (((1 - lead) - half) + (z * z * polynomial(z, kCosine) - r.hi * r.lo));

  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

}  // namespace weir::math
