#include "device/cpu/kv_write.h"

#include "kernels/kv_blocks.h"
#include "tensor/blocks.h"

namespace weir {
namespace {

using kernels::KernelTable;
using kernels::kKvBlock;
using kernels::kMaxHeadDim;
using kernels::kPageTokens;
using kernels::KvPart;

/// Writes n floats as `type`, `step` elements apart.
void store(const KernelTable& table, DType type, const float* x, int64_t n, std::byte* out,
           int64_t step) {
  if (type == DType::f32) {
    auto* const to = reinterpret_cast<float*>(out);
    for (int64_t i = 0; i < n; ++i) to[i * step] = x[i];
    return;
  }
  auto* const to = reinterpret_cast<uint16_t*>(out);
  if (type == DType::bf16) {
    for (int64_t i = 0; i < n; ++i) to[i * step] = float_to_bfloat(x[i]);
    return;
  }
  uint16_t half[kernels::kMaxHeadDim];
  table.to_half(x, n, half);
  for (int64_t i = 0; i < n; ++i) to[i * step] = half[i];
}

/// A row of a quantised part.
struct Row {
  int8_t q[kMaxHeadDim];
  float d[kMaxHeadDim / kKvBlock];
};

void put(const KernelTable& table, DType type, KvPart part, const Row& row, int64_t n,
         std::byte* out, int64_t slot, bool difference = false) {
  uint16_t scales[kMaxHeadDim / kKvBlock];
  table.to_half(row.d, n / kKvBlock, scales);
  if (difference) scales[0] |= 0x8000;
  kernels::kv_put(type, part, out, n, slot, row.q, scales);
}

void store_quantised(const KernelTable& table, DType type, KvPart part, const float* x, int64_t n,
                     std::byte* out, int64_t slot) {
  Row row;
  if (type == DType::q4_0) {
    table.quantize4(x, n, row.q, row.d);
  } else {
    int16_t sums[kMaxHeadDim / kKvBlock];
    table.quantize32(x, n, row.q, row.d, sums);
  }
  put(table, type, part, row, n, out, slot);
}

/// What the errors of a row grow with: the sum of its scales' squares.
double spread(const Row& row, int64_t n) {
  double sum = 0;
  for (int64_t b = 0; b < n / kKvBlock; ++b)
    sum += static_cast<double>(row.d[b]) * static_cast<double>(row.d[b]);
  return sum;
}

/// A key as it is, or what it is more than the first one of its page, whichever spreads less.
void store_later_key4(const KernelTable& table, const float* x, int64_t n, std::byte* out,
                      int64_t slot) {
  Row whole, more;
  float rest[kMaxHeadDim];
  kernels::kv_first_key(out, n, rest);
  for (int64_t i = 0; i < n; ++i) rest[i] = x[i] - rest[i];
  table.quantize4(x, n, whole.q, whole.d);
  table.quantize4(rest, n, more.q, more.d);
  const bool difference = spread(more, n) < spread(whole, n);  // not with a NaN
  put(table, DType::q4_0, KvPart::keys, difference ? more : whole, n, out, slot, difference);
}

std::byte* page_of(const KvView& kv, int64_t position) {
  return kv.pages[static_cast<size_t>(position / kPageTokens)];
}

}  // namespace

void write_key4(const KernelTable& table, const KvView& kv, int64_t layer, int64_t position,
                const float* k) {
  const KvLayout& layout = *kv.layout;
  for (int64_t h = 0; h < layout.kv_heads; ++h)
    store_later_key4(table, k + h * layout.key_dim, layout.key_dim,
                     page_of(kv, position) + layout.k_offset(layer, h), position % kPageTokens);
}

void write_token(const KernelTable& table, const KvView& kv, int64_t layer, int64_t position,
                 const float* k, const float* v) {
  const KvLayout& layout = *kv.layout;
  std::byte* const page = page_of(kv, position);
  const int64_t slot = position % kPageTokens;
  const bool quantised = kernels::is_quantised_kv(layout.type);
  const bool keys = layout.type != DType::q4_0 || slot == 0;
  const int64_t element = quantised ? 0 : bytes_of(layout.type, 1);
  for (int64_t h = 0; h < layout.kv_heads; ++h) {
    const float* const key = k + h * layout.key_dim;
    const float* const value = v + h * layout.value_dim;
    std::byte* const to_keys = page + layout.k_offset(layer, h);
    std::byte* const to_values = page + layout.v_offset(layer, h);
    if (quantised) {
      if (keys)
        store_quantised(table, layout.type, KvPart::keys, key, layout.key_dim, to_keys, slot);
      store_quantised(table, layout.type, KvPart::values, value, layout.value_dim, to_values, slot);
      continue;
    }
    store(table, layout.type, key, layout.key_dim, to_keys + slot * element, kPageTokens);
    store(table, layout.type, value, layout.value_dim,
          to_values + slot * layout.value_dim * element, 1);
  }
}

}  // namespace weir
