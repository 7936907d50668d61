// Kernels with their operands, ready to call: what the clock (kernels_bench.cc) and the count of
// instructions (kernels_count.cc) measure. The same bytes in every run. Owns no measurement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/dtype.h"

namespace weir::bench {

struct AlignedDelete {
  void operator()(std::byte* memory) const { ::operator delete (memory, std::align_val_t{64}); }
};
using Bytes = std::unique_ptr<std::byte, AlignedDelete>;

/// Between -1 and 1.
std::vector<float> some_floats(int64_t count);

/// One weight matrix, `tokens` rows of activations as the weight's class wants them.
class MatmulCase {
 public:
  MatmulCase(const kernels::KernelTable& table, DType type, int64_t rows, int64_t k,
             int64_t tokens);
  void operator()() { kernel_(args_); }
  int64_t weight_bytes() const { return static_cast<int64_t>(args_.row_bytes) * args_.rows; }
  int64_t operations() const { return 2 * args_.rows * args_.k * args_.tokens; }

 private:
  void quantise(const kernels::KernelTable& table, DTypeClass kind);

  void (*kernel_)(const kernels::MatmulArgs&);
  kernels::MatmulArgs args_;
  Bytes weights_, scratch_;
  std::vector<float> x_, d_, out_;
  std::vector<int8_t> q_;
  std::vector<int16_t> s_;
  std::vector<kernels::Peak> peak_;
};

/// One KV head of F16, eight queries to it in each of `tokens` tokens, the last at the end of the
/// context.
class AttentionCase {
 public:
  AttentionCase(const kernels::KernelTable& table, int64_t context, int64_t tokens);
  void operator()() { kernel_(args_); }
  int64_t kv_bytes() const { return static_cast<int64_t>(memory_.size() * sizeof(uint16_t)); }

 private:
  void (*kernel_)(const kernels::AttentionArgs&);
  kernels::AttentionArgs args_;
  Bytes scratch_;
  std::vector<uint16_t> memory_;
  std::vector<const std::byte*> pages_;
  std::vector<float> queries_, out_;
  std::vector<int32_t> positions_;
};

/// Kernels over one row of floats.
enum class RowKernel : uint8_t { rms_norm, quantize32, quantize256, silu, softmax };
inline constexpr const char* kRowKernelNames[] = {"rms_norm", "quantize32", "quantize256", "silu",
                                                  "softmax"};

class RowCase {
 public:
  RowCase(const kernels::KernelTable& table, RowKernel kernel, int64_t n);
  void operator()();

 private:
  const kernels::KernelTable& table_;
  RowKernel kernel_;
  int64_t n_;
  std::vector<float> x_, out_, d_;
  std::vector<int8_t> q_;
  std::vector<int16_t> s_;
  std::vector<kernels::Peak> peak_;
};

}  // namespace weir::bench
