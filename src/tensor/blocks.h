// Byte layouts of the quantised blocks of GGUF and their scalar meaning. Plain structs without
// functions, so that ISA folders may include this file. Source: the GGUF/ggml block formats.
// Every type unpacks to one of two canonical integer forms (UnpackedBlock32, UnpackedBlock256);
// the canonical matmul is defined on those.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace weir {

using Half = uint16_t;  // IEEE binary16 bits

#pragma pack(push, 1)
struct BlockQ4_0 {
  Half d;
  uint8_t qs[16];
};  // w = d (q - 8)
struct BlockQ4_1 {
  Half d, m;
  uint8_t qs[16];
};  // w = d q + m
struct BlockQ5_0 {
  Half d;
  uint8_t qh[4];
  uint8_t qs[16];
};  // w = d (q - 16)
struct BlockQ5_1 {
  Half d, m;
  uint8_t qh[4];
  uint8_t qs[16];
};  // w = d q + m
struct BlockQ8_0 {
  Half d;
  int8_t qs[32];
};  // w = d q
struct BlockIQ4_NL {
  Half d;
  uint8_t qs[16];
};  // w = d table[q]

struct BlockQ2_K {
  uint8_t scales[16];
  uint8_t qs[64];
  Half d, dmin;
};
struct BlockQ3_K {
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  Half d;
};
struct BlockQ4_K {
  Half d, dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};
struct BlockQ5_K {
  Half d, dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};
struct BlockQ6_K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  Half d;
};
struct BlockIQ4_XS {
  Half d;
  uint16_t scales_h;
  uint8_t scales_l[4];
  uint8_t qs[128];
};
#pragma pack(pop)

/// The 16 levels of IQ4_NL and IQ4_XS.
extern const int8_t kIQ4Levels[16];

/// w[i] = d * q[i] + m
struct UnpackedBlock32 {
  float d, m;
  int8_t q[32];
};

/// w[i] = d * scale[i / 16] * q[i] - dmin * min[i / 16]
struct UnpackedBlock256 {
  float d, dmin;
  int8_t q[256];
  int32_t scale[16];  // -128..127
  int32_t min[16];    // 0..63
};

float half_to_float(Half bits);
Half float_to_half(float value);  // round to nearest even
float bfloat_to_float(uint16_t bits);
uint16_t float_to_bfloat(float value);  // round to nearest even

/// One block at `block`; `type` must be of class block32 / block256.
void unpack_block(DType type, const std::byte* block, UnpackedBlock32& out);
void unpack_block(DType type, const std::byte* block, UnpackedBlock256& out);

/// True if the block type carries a minimum (m or dmin), so that the second FMA takes place.
bool has_minimum(DType type);

/// Dequantises (or widens) `elements` values, a multiple of the block, to f32. Scales are applied
/// as (d * scale) * q - (dmin * min), every product rounded to f32.
void to_float(DType type, const std::byte* data, int64_t elements, float* out);

}  // namespace weir
