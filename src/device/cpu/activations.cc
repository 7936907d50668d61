// Memory and conversion of activation matrices.
#include "device/cpu/activations.h"

#include <cstring>

#include "base/checked.h"
#include "base/error.h"

namespace weir {

Forms form_of(DType weight) {
  switch (info(weight).kind) {
    case DTypeClass::block32:
      return Forms::block32;
    case DTypeClass::block256:
      return Forms::block256;
    default:
      return Forms::real;
  }
}

Activations::Activations(int64_t rows, int64_t width)
    : capacity_rows_(rows), stride_(div_up<int64_t>(width, 256) * 256) {
  real_ = Buffer(static_cast<size_t>(rows * stride_) * sizeof(float));
}

void Activations::reset(int64_t rows, int64_t width) {
  WEIR_CHECK(rows <= capacity_rows_ && width <= stride_, "{{{}, {}}} in room for {{{}, {}}}", rows,
             width, capacity_rows_, stride_);
  rows_ = rows;
  width_ = width;
  valid_ = Forms::real;
}

void Activations::allocate(Quantized& form, int64_t block, int64_t run) {
  if (form.q.size() != 0) return;
  const auto values = static_cast<size_t>(capacity_rows_ * stride_);
  form.q = Buffer(values);
  form.d = Buffer(values / static_cast<size_t>(block) * sizeof(float));
  form.s = Buffer(values / static_cast<size_t>(run) * sizeof(int16_t));
  if (block == 256) form.peak = Buffer(values / 256 * sizeof(kernels::Peak));
}

void Activations::declare(Forms forms) {
  WEIR_CHECK(!has(forms, Forms::block32) || width_ % 32 == 0, "width {}", width_);
  WEIR_CHECK(!has(forms, Forms::block256) || width_ % 256 == 0, "width {}", width_);
  if (has(forms, Forms::block32)) allocate(q32_, 32, 32);
  if (has(forms, Forms::block256)) allocate(q256_, 256, 16);
  valid_ = valid_ | forms;
}

kernels::QuantRows Activations::rows_of(const Quantized& form, int64_t stride, int64_t block,
                                        int64_t run) {
  // The kernels' struct serves readers and writers; what is handed to a matmul is only read.
  auto* const q = const_cast<std::byte*>(form.q.data());
  auto* const d = const_cast<std::byte*>(form.d.data());
  auto* const s = const_cast<std::byte*>(form.s.data());
  auto* const peak = const_cast<std::byte*>(form.peak.data());
  return {.q = reinterpret_cast<int8_t*>(q),
          .d = reinterpret_cast<float*>(d),
          .s = reinterpret_cast<int16_t*>(s),
          .q_stride = stride,
          .d_stride = stride / block,
          .s_stride = stride / run,
          .peak = reinterpret_cast<kernels::Peak*>(peak)};
}

kernels::QuantRows Activations::quantized(Forms form) const {
  WEIR_CHECK(has(valid_, form), "this form was not made");
  return form == Forms::block32 ? rows_of(q32_, stride_, 32, 32) : rows_of(q256_, stride_, 256, 16);
}

void Activations::quantize_row(const kernels::KernelTable& table, int64_t r, Forms forms) {
  const float* const x = row(r);
  if (has(forms, Forms::block32)) {
    const auto rows = rows_of(q32_, stride_, 32, 32).from(r);
    table.quantize32(x, width_, rows.q, rows.d, rows.s);
  }
  if (has(forms, Forms::block256)) {
    const auto rows = rows_of(q256_, stride_, 256, 16).from(r);
    table.quantize256(x, width_, rows.q, rows.d, rows.s, rows.peak);
  }
}

void Activations::quantize_row(const kernels::KernelTable& table, int64_t r) {
  quantize_row(table, r, valid_);
}

void Activations::ensure(CpuDevice& device, Forms forms) {
  const auto missing =
      static_cast<Forms>(static_cast<unsigned>(forms) & ~static_cast<unsigned>(valid_));
  if (missing == Forms::real) return;
  declare(missing);
  device.for_each_row(rows_, width_,
                      [&](int64_t r, int) { quantize_row(device.table(), r, missing); });
}

void Activations::copy_row(int64_t r, const Activations& from, int64_t from_row) {
  std::memcpy(row(r), from.data() + from_row * from.stride_,
              static_cast<size_t>(width_) * sizeof(float));
  for (const Forms form : {Forms::block32, Forms::block256}) {
    if (!has(valid_, form)) continue;
    const auto to = quantized(form).from(r), source = from.quantized(form).from(from_row);
    const int64_t block = form == Forms::block32 ? 32 : 256, run = form == Forms::block32 ? 32 : 16;
    const auto blocks = static_cast<size_t>(width_ / block);
    std::memcpy(to.q, source.q, static_cast<size_t>(width_));
    std::memcpy(to.d, source.d, blocks * sizeof(float));
    std::memcpy(to.s, source.s, static_cast<size_t>(width_ / run) * sizeof(int16_t));
    if (to.peak != nullptr) std::memcpy(to.peak, source.peak, blocks * sizeof(kernels::Peak));
  }
}

}  // namespace weir
