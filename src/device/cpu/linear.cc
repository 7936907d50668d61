// Shape checks and the split of rows over threads. A thread's rows stay in its cache between the
// matmul and what follows it on the same rows (bias, activation, soft cap).
#include "device/cpu/linear.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "tensor/blocks.h"

namespace weir {
namespace {

using kernels::KernelTable;
using kernels::MatmulArgs;

void check_weight(const Tensor& weight, const Activations& x) {
  WEIR_CHECK(weight.shape.rank() <= 2 && weight.columns() == x.width(),
             "weight {} of type {} with activations {{{}, {}}}", weight.shape.to_string(),
             info(weight.type).name, x.rows(), x.width());
  WEIR_CHECK(info(weight.type).kind != DTypeClass::other, "a weight of type {}",
             info(weight.type).name);
}

void add_bias(const float* bias, int64_t first, int64_t last, int64_t tokens, float* out,
              int64_t stride) {
  for (int64_t t = 0; t < tokens; ++t) {
    float* const row = out + t * stride;
    for (int64_t r = first; r < last; ++r) row[r] += bias[r];
  }
}

/// Bias, scale and soft cap of rows [first, last).
void finish(const KernelTable& table, const Projection& p, int64_t first, int64_t last,
            int64_t tokens) {
  if (p.bias != nullptr) add_bias(p.bias, first, last, tokens, p.out, p.out_stride);
  for (int64_t t = 0; t < tokens; ++t) {
    float* const row = p.out + t * p.out_stride;
    if (p.scale != 1.0f)
      for (int64_t r = first; r < last; ++r) row[r] *= p.scale;
    if (p.softcap != 0.0f) table.softcap(row + first, last - first, p.softcap);
  }
}

/// What one call of a kernel should have. One token streams rows as they come; more tokens share
/// unpacked panels, which are 64 rows at their best; many are packed or rounded in every call.
Grain grain_of(int64_t tokens) {
  if (tokens == 1) return {};
  return {64 / kRowUnit, tokens < 64 ? 2 : 3};
}

/// The part of `rows` rows that belongs to units [begin, end).
struct Share {
  int64_t first, last;
};
Share share_of(int64_t rows, int64_t begin, int64_t end) {
  return {std::clamp<int64_t>(begin * kRowUnit, 0, rows),
          std::clamp<int64_t>(end * kRowUnit, 0, rows)};
}

}  // namespace

void matmul_rows(CpuDevice& device, int thread, const Tensor& weight, int64_t first, int64_t last,
                 const Activations& x, int64_t x_row, int64_t tokens, float* out,
                 int64_t out_stride, const std::byte* next) {
  if (first >= last || tokens == 0) return;
  MatmulArgs args;
  args.w = weight.row(first);
  args.next = next;
  args.row_bytes = weight.row_bytes();
  args.rows = last - first;
  args.k = weight.columns();
  args.tokens = tokens;
  const Forms form = form_of(weight.type);
  if (form == Forms::real) {
    args.x = x.data() + x_row * x.stride();
    args.x_stride = x.stride();
  } else {
    args.xq = x.quantized(form).from(x_row);
  }
  args.out = out + first;
  args.out_stride = out_stride;
  args.scratch = device.scratch(thread);
  device.table().matmul[static_cast<size_t>(weight.type)](args);
}

void matmul(CpuDevice& device, Activations& x, std::span<const Projection> projections) {
  Forms forms = Forms::real;
  int64_t units = 0, work = 0;
  for (const Projection& p : projections) {
    check_weight(*p.weight, x);
    forms = forms | form_of(p.weight->type);
    units += div_up(p.weight->rows(), kRowUnit);
    work += p.weight->rows() * x.width() * x.rows();
  }
  if (x.rows() == 0) return;
  x.ensure(device, forms);
  device.split(units, grain_of(x.rows()), work, [&](int thread, int64_t begin, int64_t end) {
    for (size_t i = 0; i < projections.size(); ++i) {
      const Projection& p = projections[i];
      const int64_t rows = p.weight->rows();
      const auto [first, last] = share_of(rows, begin, end);
      if (first < last) {
        const bool ends = last == rows && i + 1 < projections.size();
        matmul_rows(device, thread, *p.weight, first, last, x, 0, x.rows(), p.out, p.out_stride,
                    ends ? projections[i + 1].weight->row(0) : nullptr);
        finish(device.table(), p, first, last, x.rows());
      }
      begin -= div_up(rows, kRowUnit);
      end -= div_up(rows, kRowUnit);
    }
  });
}

void feed_forward_in(CpuDevice& device, Activations& x, const FeedForwardIn& layer,
                     Activations& hidden, Activations& spare) {
  const Tensor& up = *layer.up;
  check_weight(up, x);
  Forms forms = form_of(up.type);
  if (layer.gate != nullptr) {
    check_weight(*layer.gate, x);
    WEIR_CHECK(layer.gate->shape == up.shape, "gate {}, up {}", layer.gate->shape.to_string(),
               up.shape.to_string());
    forms = forms | form_of(layer.gate->type);
  }
  const int64_t rows = up.rows(), tokens = x.rows();
  hidden.reset(tokens, rows);
  if (tokens == 0) return;
  if (layer.gate != nullptr) spare.reset(tokens, rows);
  x.ensure(device, forms);
  const KernelTable& table = device.table();
  const int64_t units = div_up(rows, kRowUnit);
  const int64_t work = rows * x.width() * tokens;
  device.split(units, grain_of(tokens), work, [&](int thread, int64_t begin, int64_t end) {
    const auto [first, last] = share_of(rows, begin, end);
    const int64_t n = last - first;
    if (layer.gate == nullptr) {
      matmul_rows(device, thread, up, first, last, x, 0, tokens, hidden.row(0), hidden.stride());
      if (layer.up_bias != nullptr)
        add_bias(layer.up_bias, first, last, tokens, hidden.row(0), hidden.stride());
      for (int64_t t = 0; t < tokens; ++t) {
        float* const h = hidden.row(t) + first;
        table.activate(layer.activation, h, nullptr, n, h);
      }
      return;
    }
    matmul_rows(device, thread, *layer.gate, first, last, x, 0, tokens, hidden.row(0),
                hidden.stride(), up.row(first));
    matmul_rows(device, thread, up, first, last, x, 0, tokens, spare.row(0), spare.stride(),
                layer.gate->row(last));
    if (layer.gate_bias != nullptr)
      add_bias(layer.gate_bias, first, last, tokens, hidden.row(0), hidden.stride());
    if (layer.up_bias != nullptr)
      add_bias(layer.up_bias, first, last, tokens, spare.row(0), spare.stride());
    for (int64_t t = 0; t < tokens; ++t) {
      float* const h = hidden.row(t) + first;
      table.activate(layer.activation, h, spare.row(t) + first, n, h);
    }
  });
}

void embedding_row(const Tensor& embedding, int64_t id, float* out) {
  if (id < 0 || id >= embedding.rows())
    fail(Code::invalid_argument, "token id {}, the vocabulary has ids 0 to {}", id,
         embedding.rows() - 1);
  to_float(embedding.type, embedding.row(id), embedding.columns(), out);
}

}  // namespace weir
