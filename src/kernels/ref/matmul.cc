// The canonical matmul of every weight type, in plain C++. Slow on purpose: it defines the answer.
#include "kernels/ref/ref.h"

#include <algorithm>
#include <cmath>

#include "kernels/ref/math.h"
#include "tensor/blocks.h"

namespace weir::kernels::ref {
namespace {

/// 16 strided partial sums along k, each by FMA in ascending k (missing lanes of the tail add
/// nothing), one reduction tree a segment, segments in order.
float dot_real(DType type, const std::byte* w, const float* x, int64_t k) {
  float total = 0.0f;
  float widened[kSegment];
  for (int64_t begin = 0; begin < k; begin += kSegment) {
    const int64_t end = std::min(k, begin + kSegment);
    to_float(type, w + bytes_of(type, begin), end - begin, widened);
    float lanes[16] = {};
    for (int64_t i = begin; i < end; ++i) {
      float& lane = lanes[(i - begin) % 16];
      lane = std::fma(widened[i - begin], x[i], lane);
    }
    total += reduce16(lanes);
  }
  return total;
}

float dot_block32(DType type, const std::byte* w, const int8_t* q, const float* d, const int16_t* s,
                  int64_t k) {
  const bool minimum = has_minimum(type);
  const int64_t bytes = info(type).block_bytes;
  float total = 0.0f;
  for (int64_t begin = 0; begin < k; begin += kSegment) {
    float chain = 0.0f;
    for (int64_t b = begin / 32; b < std::min(k, begin + kSegment) / 32; ++b) {
      UnpackedBlock32 block;
      unpack_block(type, w + b * bytes, block);
      int32_t sum = 0;
      for (int i = 0; i < 32; ++i) sum += block.q[i] * q[b * 32 + i];
      chain = std::fma(block.d * d[b], static_cast<float>(sum), chain);
      if (minimum) chain = std::fma(block.m * d[b], static_cast<float>(s[b]), chain);
    }
    total += chain;
  }
  return total;
}

float dot_block256(DType type, const std::byte* w, const int8_t* q, const float* d,
                   const int16_t* s, int64_t k) {
  const bool minimum = has_minimum(type);
  const int64_t bytes = info(type).block_bytes;
  float total = 0.0f;
  for (int64_t begin = 0; begin < k; begin += kSegment) {
    float chain = 0.0f;
    for (int64_t b = begin / 256; b < std::min(k, begin + kSegment) / 256; ++b) {
      UnpackedBlock256 block;
      unpack_block(type, w + b * bytes, block);
      int32_t sum = 0, min_sum = 0;
      for (int j = 0; j < 16; ++j) {
        int32_t run = 0;
        for (int i = 16 * j; i < 16 * j + 16; ++i) run += block.q[i] * q[b * 256 + i];
        sum += block.scale[j] * run;
        min_sum += block.min[j] * s[b * 16 + j];
      }
      chain = std::fma(block.d * d[b], static_cast<float>(sum), chain);
      if (minimum) chain = std::fma(-(block.dmin * d[b]), static_cast<float>(min_sum), chain);
    }
    total += chain;
  }
  return total;
}

}  // namespace

template <DType type>
void matmul(const MatmulArgs& a) {
  for (int64_t r = 0; r < a.rows; ++r) {
    const std::byte* w = a.w + static_cast<size_t>(r) * a.row_bytes;
    for (int64_t t = 0; t < a.tokens; ++t) {
      float& out = a.out[t * a.out_stride + r];
      const int8_t* q = a.xq.q + t * a.xq.q_stride;
      const float* d = a.xq.d + t * a.xq.d_stride;
      const int16_t* s = a.xq.s + t * a.xq.s_stride;
      switch (info(type).kind) {
        case DTypeClass::block32:
          out = dot_block32(type, w, q, d, s, a.k);
          break;
        case DTypeClass::block256:
          out = dot_block256(type, w, q, d, s, a.k);
          break;
        default:
          out = dot_real(type, w, a.x + t * a.x_stride, a.k);
          break;
      }
    }
  }
}

template void matmul<DType::f32>(const MatmulArgs&);
template void matmul<DType::f16>(const MatmulArgs&);
template void matmul<DType::bf16>(const MatmulArgs&);
template void matmul<DType::q4_0>(const MatmulArgs&);
template void matmul<DType::q4_1>(const MatmulArgs&);
template void matmul<DType::q5_0>(const MatmulArgs&);
template void matmul<DType::q5_1>(const MatmulArgs&);
template void matmul<DType::q8_0>(const MatmulArgs&);
template void matmul<DType::q2_k>(const MatmulArgs&);
template void matmul<DType::q3_k>(const MatmulArgs&);
template void matmul<DType::q4_k>(const MatmulArgs&);
template void matmul<DType::q5_k>(const MatmulArgs&);
template void matmul<DType::q6_k>(const MatmulArgs&);
template void matmul<DType::iq4_nl>(const MatmulArgs&);
template void matmul<DType::iq4_xs>(const MatmulArgs&);

}  // namespace weir::kernels::ref
