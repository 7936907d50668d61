// The plain kernels that define the answers. ISA tables may take an entry from here where they
// have no faster one.
#pragma once

#include "kernels/kernels.h"

namespace weir::kernels::ref {

template <DType type>
void matmul(const MatmulArgs& a);

/// F16 and BF16 with the option "bf16-dot".
template <DType type>
void matmul_bf16_dot(const MatmulArgs& a);

void quantize32(const float* x, int64_t k, int8_t* q, float* d, int16_t* s);
void quantize256(const float* x, int64_t k, int8_t* q, float* d, int16_t* s, Peak* peak);
void quantize4(const float* x, int64_t k, int8_t* q, float* d);
void hadamard(float* x, int64_t n);
void attention(const AttentionArgs& a);
void merge_attention(const AttentionArgs& a);
void rms_norm(const float* x, const float* weight, int64_t n, float eps, float* out);
void layer_norm(const float* x, const float* weight, const float* bias, int64_t n, float eps,
                float* out);
void rope_adjacent(float* x, const float* cos, const float* sin, int64_t pairs);
void rope_split(float* x, const float* cos, const float* sin, int64_t pairs);
void activate(Activation f, const float* x, const float* up, int64_t n, float* out);
void softcap(float* x, int64_t n, float cap);
void softmax(float* x, int64_t n);
void to_half(const float* x, int64_t n, uint16_t* out);
int64_t probe_int8(int64_t rounds);
int64_t probe_fma(int64_t rounds);
void probe_read(const std::byte* data, size_t bytes);

}  // namespace weir::kernels::ref
