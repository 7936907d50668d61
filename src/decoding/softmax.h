// Whole-vocabulary passes over logits, the same bit for bit on every machine: the largest, and the
// weights e^(logit - largest). Owns the exponential of this room; refuses to choose tokens.
//
// Weights are masses: whole numbers of 2^-42. Their sums are exact in any order, so no result
// depends on how a set was sorted or split. A token less likely than 2^-42 of the likeliest has no
// mass and is never drawn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace weir {

inline constexpr double kMassOne = 0x1p42;
/// Longest vocabulary: the sum of all masses stays below 2^63.
inline constexpr size_t kMaxVocab = size_t{1} << 21;

/// Error{numeric} if a logit is NaN or infinite; names the first such token.
void check_finite(std::span<const float> logits);

/// The largest value, -inf if the span is empty. No NaN.
float largest(std::span<const float> logits);

/// masses[i] = e^((logits[i] - top) / temperature) as a mass; relative error below 3e-7 plus
/// 1.2e-7 times the size of the exponent, and half a unit of mass. logits[i] <= top; -inf gives 0.
void masses(std::span<const float> logits, float top, float temperature,
            std::span<uint64_t> masses);

/// The sum that masses() would have, at temperature 1.
uint64_t total_mass(std::span<const float> logits, float top);

}  // namespace weir
