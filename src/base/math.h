// Transcendental functions whose result is the same bit for bit on every machine. The C library's
// differ between versions and processors, so nothing that becomes part of an answer (RoPE tables,
// sampling) may call them. Owns double-precision exp, log, pow and sincos; refuses speed tricks:
// hot loops over floats have their own kernels.
#pragma once

namespace weir::math {

// Built only from the basic IEEE operations + - * / in round-to-nearest, never from fma or the C
// library. Error bounds are against the exact value; NaN, infinities, zeros and subnormals follow
// C99 Annex F.

/// e^x. Error below 1 ulp (in subnormal results below 1.5 units of the smallest subnormal).
double exp(double x);

/// Natural logarithm. Error below 1 ulp.
double log(double x);

/// x^y. Error below 1 ulp (subnormal results as exp).
double pow(double x, double y);

struct SinCos {
  double sin;
  double cos;
};

/// Largest |angle| that sincos takes: 2^30, above every position times every frequency.
inline constexpr double kMaxAngle = 1073741824.0;

/// Sine and cosine of an angle in radians. Error below 1 ulp each. Infinite or NaN angles give
/// NaN; a finite |x| > kMaxAngle breaks the contract (Code::internal).
SinCos sincos(double x);

}  // namespace weir::math
