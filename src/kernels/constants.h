// Constants of the canonical arithmetic, shared by ref and the ISA folders: numbers only.
#pragma once

namespace weir::kernels {

constexpr float kLog2e = 0x1.715476p+0f;
constexpr float kLn2High = 0x1.62e400p-1f;  // 13 low bits zero: n * kLn2High is exact
constexpr float kLn2Low = 0x1.7f7d1cp-20f;
constexpr float kExpMax = 89.0f;    // e^89 overflows to infinity
constexpr float kExpMin = -104.5f;  // e^-104.5 rounds to zero
// Online softmax of float pages: what weights are held against is raised only by scores that are
// more than this above it. Weights stay below e^32 = 8e13.
constexpr float kSoftmaxSlack = 32.0f;
// 1/7!, 1/6!, ..., 1
constexpr float kExpCoefficients[8] = {1.0f / 5040.0f, 1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f,
                                       1.0f / 6.0f,    0.5f,          1.0f,          1.0f};

constexpr float kTanhSplit = 0.625f;
// (tanh(x)/x - 1) / x^2 on |x| < 0.625, least maximum error, highest power first.
constexpr float kTanhCoefficients[5] = {-0x1.76ac42p-8f, 0x1.5256e2p-6f, -0x1.b8444ap-5f,
                                        0x1.110768p-3f, -0x1.555534p-2f};

constexpr float kGeluLinear = 0.79788456f;  // sqrt(2 / pi)
constexpr float kGeluCubic = 0.79788456f * 0.044715f;
constexpr float kInverseSqrt2 = 0.70710678f;

// Abramowitz and Stegun, formula 7.1.26, highest power first.
constexpr float kErfP = 0.3275911f;
constexpr float kErfCoefficients[5] = {1.061405429f, -1.453152027f, 1.421413741f, -0.284496736f,
                                       0.254829592f};

// Activation blocks whose largest magnitude is below this quantise to zero.
constexpr float kQuantFloor = 0x1p-100f;

}  // namespace weir::kernels
