// One matrix of activations and its quantised forms, made at most once each. Owns the memory;
// refuses to know which weights will read it (they say which form they need).
#pragma once

#include <cstdint>

#include "device/cpu/cpu_device.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

namespace weir {

/// A set of forms in which activations are read.
enum class Forms : unsigned { real = 0, block32 = 1, block256 = 2 };
constexpr Forms operator|(Forms a, Forms b) {
  return static_cast<Forms>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool has(Forms set, Forms form) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(form)) != 0;
}

/// The form that the matmul of a weight type reads.
Forms form_of(DType weight);

class Activations {
 public:
  Activations() = default;
  /// Room for rows x width floats; memory for a quantised form is taken at its first use.
  Activations(int64_t rows, int64_t width);

  /// Begins a new matrix of this shape, which must fit; no form is valid.
  void reset(int64_t rows, int64_t width);

  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  int64_t stride() const { return stride_; }
  float* row(int64_t r) { return real() + r * stride_; }
  const float* data() const { return reinterpret_cast<const float*>(real_.data()); }

  /// Takes the memory of these forms and declares them valid; the caller then calls quantize_row
  /// for every row before anything reads them.
  void declare(Forms forms);
  void quantize_row(const kernels::KernelTable& table, int64_t r);

  /// Makes the forms that are not there yet, in one parallel region.
  void ensure(CpuDevice& device, Forms forms);

  /// Copies all valid forms of a row of `from`, which must have the same width and forms.
  void copy_row(int64_t r, const Activations& from, int64_t from_row);

  Forms valid() const { return valid_; }
  kernels::QuantRows quantized(Forms form) const;

 private:
  struct Quantized {
    Buffer q, d, s, peak;
  };
  float* real() { return reinterpret_cast<float*>(real_.data()); }
  static kernels::QuantRows rows_of(const Quantized& form, int64_t stride, int64_t block,
                                    int64_t run);
  void allocate(Quantized& form, int64_t block, int64_t run);
  void quantize_row(const kernels::KernelTable& table, int64_t r, Forms forms);

  int64_t capacity_rows_ = 0;
  int64_t stride_ = 0;  // floats between rows, a multiple of 256
  int64_t rows_ = 0, width_ = 0;
  Forms valid_ = Forms::real;
  Buffer real_;
  Quantized q32_, q256_;
};

}  // namespace weir
