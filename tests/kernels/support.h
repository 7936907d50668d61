// Shared by the kernel tests: every table of this machine against `ref`, bit for bit.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/blocks.h"
#include "tensor/tensor.h"

namespace weir::test {

/// All tables but ref.
inline std::vector<const kernels::KernelTable*> fast_tables() {
  std::vector<const kernels::KernelTable*> all;
  for (const kernels::KernelTable* table : kernels::tables())
    if (table != &kernels::ref_table()) all.push_back(table);
  return all;
}

/// Same bits, or both NaN (the payload of a NaN is not part of the contract).
inline bool same(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

inline ::testing::AssertionResult all_same(const std::vector<float>& expected,
                                           const std::vector<float>& found) {
  if (expected.size() != found.size()) return ::testing::AssertionFailure() << "sizes differ";
  for (size_t i = 0; i < expected.size(); ++i)
    if (!same(expected[i], found[i]))
      return ::testing::AssertionFailure() << "at " << i << " of " << expected.size() << ": ref "
                                           << expected[i] << ", found " << found[i];
  return ::testing::AssertionSuccess();
}

inline std::vector<float> random_floats(std::mt19937& rng, size_t n, float scale = 1.0f) {
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> x(n);
  for (float& v : x) v = normal(rng);
  return x;
}

/// `rows` x k weights of a type. Tame: scales are small finite halves; wild: every bit random.
Buffer random_weights(std::mt19937& rng, DType type, int64_t rows, int64_t k, bool wild);

/// A copy of some bytes that ends where the memory ends: a read behind it faults.
class GuardedCopy {
 public:
  explicit GuardedCopy(const Buffer& bytes);
  ~GuardedCopy();
  GuardedCopy(const GuardedCopy&) = delete;
  GuardedCopy& operator=(const GuardedCopy&) = delete;
  const std::byte* data() const { return data_; }

 private:
  void* mapping_;
  size_t mapped_;
  std::byte* data_;
};

/// `tokens` rows of k activations with everything a matmul of any class needs.
class Activations {
 public:
  Activations(std::vector<float> x, int64_t tokens, int64_t k, DTypeClass kind);
  /// Fills x, xq, tokens, k of the arguments.
  void bind(kernels::MatmulArgs& args);

 private:
  std::vector<float> x_;
  int64_t tokens_, k_;
  std::vector<int8_t> q_;
  std::vector<float> d_;
  std::vector<int16_t> s_;
  std::vector<kernels::Peak> peak_;
  kernels::QuantRows rows_;
};

/// [tokens][rows + 3] floats: a kernel's products of the weights, which end where the memory ends,
/// with the activations that `args` holds (and their number). Three floats between the tokens keep
/// -77: a kernel that writes past its rows is seen.
std::vector<float> multiply(const kernels::KernelTable& table, DType type, const Buffer& w,
                            int64_t rows, int64_t k, kernels::MatmulArgs args);

}  // namespace weir::test
