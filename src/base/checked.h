// Checked arithmetic for numbers that come from outside. Every size, count and offset read from a
// file or a request goes through these before it is used; none of them ever wraps.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace weir {

template <std::integral T>
constexpr std::optional<T> checked_add(T a, T b) {
  T result{};
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
constexpr std::optional<T> checked_sub(T a, T b) {
  T result{};
  if (__builtin_sub_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
constexpr std::optional<T> checked_mul(T a, T b) {
  T result{};
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

/// Smallest multiple of `alignment` (a power of two, >= 1) that is >= `value`.
template <std::unsigned_integral T>
constexpr std::optional<T> checked_align_up(T value, T alignment) {
  const auto raised = checked_add<T>(value, alignment - 1);
  if (!raised) return std::nullopt;
  return static_cast<T>(*raised & ~(alignment - 1));
}

/// `value` as To, or nothing if it does not fit.
template <std::integral To, std::integral From>
constexpr std::optional<To> checked_cast(From value) {
  if (!std::in_range<To>(value)) return std::nullopt;
  return static_cast<To>(value);
}

/// ceil(a / b) for b > 0; cannot overflow.
template <std::integral T>
constexpr T div_up(T a, T b) {
  return static_cast<T>(a / b + (a % b != 0));
}

}  // namespace weir
