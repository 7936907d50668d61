#include "tensor/blocks.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace weir {

const int8_t kIQ4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockIQ4_NL) == 18);
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_XS) == 136);

float half_to_float(Half bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t fraction = bits & 0x3ffu;
  if (exponent == 31) {  // infinity, NaN (made quiet, as hardware does)
    const uint32_t quiet = fraction != 0 ? 0x400000u : 0u;
    return std::bit_cast<float>(sign | 0x7f800000u | quiet | (fraction << 13));
  }
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

Half float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return static_cast<Half>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return static_cast<Half>(sign | 0x7c00u);  // rounds past 65504
  if (magnitude < 0x38800000u) {  // below 2^-14: a multiple of 2^-24, rounded by the FPU
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p24f;
    return static_cast<Half>(sign | static_cast<uint32_t>(std::nearbyint(scaled)));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<Half>(sign | ((rounded - 0x38000000u) >> 13));
}

float bfloat_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t float_to_bfloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

namespace {

template <typename Block>
Block load(const std::byte* bytes) {
  Block block;
  std::memcpy(&block, bytes, sizeof block);
  return block;
}

/// Low nibbles are elements 0..15, high nibbles 16..31; `offset` is subtracted.
void nibbles32(const uint8_t* qs, int offset, int8_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = static_cast<int8_t>((qs[i] & 15) - offset);
    q[i + 16] = static_cast<int8_t>((qs[i] >> 4) - offset);
  }
}

/// As nibbles32 with a fifth bit: bit i of qh belongs to element i.
void five_bits32(const uint8_t* qs, const uint8_t* qh, int offset, int8_t* q) {
  for (int i = 0; i < 16; ++i) {
    const int low = (qh[i / 8] >> (i % 8)) & 1;
    const int high = (qh[2 + i / 8] >> (i % 8)) & 1;
    q[i] = static_cast<int8_t>(((qs[i] & 15) | (low << 4)) - offset);
    q[i + 16] = static_cast<int8_t>(((qs[i] >> 4) | (high << 4)) - offset);
  }
}

void levels32(const uint8_t* qs, int8_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = kIQ4Levels[qs[i] & 15];
    q[i + 16] = kIQ4Levels[qs[i] >> 4];
  }
}

/// The 6-bit scales and minima of Q4_K and Q5_K: eight pairs in twelve bytes.
void six_bit_pairs(const uint8_t* s, UnpackedBlock256& out) {
  for (int j = 0; j < 8; ++j) {
    int scale, min;
    if (j < 4) {
      scale = s[j] & 63;
      min = s[j + 4] & 63;
    } else {
      scale = (s[j + 4] & 15) | ((s[j - 4] >> 6) << 4);
      min = (s[j + 4] >> 4) | ((s[j] >> 6) << 4);
    }
    out.scale[2 * j] = out.scale[2 * j + 1] = scale;
    out.min[2 * j] = out.min[2 * j + 1] = min;
  }
}

void unpack_q2_k(const BlockQ2_K& b, UnpackedBlock256& out) {
  out.d = half_to_float(b.d);
  out.dmin = half_to_float(b.dmin);
  for (int j = 0; j < 16; ++j) {
    out.scale[j] = b.scales[j] & 15;
    out.min[j] = b.scales[j] >> 4;
  }
  for (int i = 0; i < 256; ++i) {  // 128 elements share 32 bytes, two bits a plane
    const int half = i / 128, plane = (i % 128) / 32;
    out.q[i] = static_cast<int8_t>((b.qs[32 * half + i % 32] >> (2 * plane)) & 3);
  }
}

void unpack_q3_k(const BlockQ3_K& b, UnpackedBlock256& out) {
  out.d = half_to_float(b.d);
  for (int j = 0; j < 16; ++j) {
    const int low = (b.scales[j % 8] >> (4 * (j / 8))) & 15;
    const int high = (b.scales[8 + j % 4] >> (2 * (j / 4))) & 3;
    out.scale[j] = (low | (high << 4)) - 32;
  }
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, plane = (i % 128) / 32;
    const int low = (b.qs[32 * half + i % 32] >> (2 * plane)) & 3;
    const int high = (b.hmask[i % 32] >> (i / 32)) & 1;
    out.q[i] = static_cast<int8_t>(low - (high ? 0 : 4));
  }
}

void unpack_q4_k(const BlockQ4_K& b, UnpackedBlock256& out) {
  out.d = half_to_float(b.d);
  out.dmin = half_to_float(b.dmin);
  six_bit_pairs(b.scales, out);
  for (int i = 0; i < 256; ++i) {
    const int byte = b.qs[32 * (i / 64) + i % 32];
    out.q[i] = static_cast<int8_t>((i / 32) % 2 == 0 ? byte & 15 : byte >> 4);
  }
}

void unpack_q5_k(const BlockQ5_K& b, UnpackedBlock256& out) {
  out.d = half_to_float(b.d);
  out.dmin = half_to_float(b.dmin);
  six_bit_pairs(b.scales, out);
  for (int i = 0; i < 256; ++i) {
    const int byte = b.qs[32 * (i / 64) + i % 32];
    const int low = (i / 32) % 2 == 0 ? byte & 15 : byte >> 4;
    out.q[i] = static_cast<int8_t>(low | (((b.qh[i % 32] >> (i / 32)) & 1) << 4));
  }
}

void unpack_q6_k(const BlockQ6_K& b, UnpackedBlock256& out) {
  out.d = half_to_float(b.d);
  for (int j = 0; j < 16; ++j) out.scale[j] = b.scales[j];
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, within = i % 128, plane = within / 32;
    const int byte = b.ql[64 * half + within % 64];
    const int low = plane < 2 ? byte & 15 : byte >> 4;
    const int high = (b.qh[32 * half + i % 32] >> (2 * plane)) & 3;
    out.q[i] = static_cast<int8_t>((low | (high << 4)) - 32);
  }
}

void unpack_iq4_xs(const BlockIQ4_XS& b, UnpackedBlock256& out) {
  out.d = half_to_float(b.d);
  for (int j = 0; j < 8; ++j) {
    const int low = (b.scales_l[j / 2] >> (4 * (j % 2))) & 15;
    const int high = (b.scales_h >> (2 * j)) & 3;
    out.scale[2 * j] = out.scale[2 * j + 1] = (low | (high << 4)) - 32;
    levels32(b.qs + 16 * j, out.q + 32 * j);
  }
}

}  // namespace

void unpack_block(DType type, const std::byte* block, UnpackedBlock32& out) {
  out.m = 0.0f;
  switch (type) {
    case DType::q4_0: {
      const auto b = load<BlockQ4_0>(block);
      out.d = half_to_float(b.d);
      return nibbles32(b.qs, 8, out.q);
    }
    case DType::q4_1: {
      const auto b = load<BlockQ4_1>(block);
      out.d = half_to_float(b.d);
      out.m = half_to_float(b.m);
      return nibbles32(b.qs, 0, out.q);
    }
    case DType::q5_0: {
      const auto b = load<BlockQ5_0>(block);
      out.d = half_to_float(b.d);
      return five_bits32(b.qs, b.qh, 16, out.q);
    }
    case DType::q5_1: {
      const auto b = load<BlockQ5_1>(block);
      out.d = half_to_float(b.d);
      out.m = half_to_float(b.m);
      return five_bits32(b.qs, b.qh, 0, out.q);
    }
    case DType::q8_0: {
      const auto b = load<BlockQ8_0>(block);
      out.d = half_to_float(b.d);
      std::memcpy(out.q, b.qs, 32);
      return;
    }
    case DType::iq4_nl: {
      const auto b = load<BlockIQ4_NL>(block);
      out.d = half_to_float(b.d);
      return levels32(b.qs, out.q);
    }
    default:
      fail(Code::internal, "{} is not a type of 32-element blocks", info(type).name);
  }
}

void unpack_block(DType type, const std::byte* block, UnpackedBlock256& out) {
  out.dmin = 0.0f;
  std::memset(out.min, 0, sizeof out.min);
  switch (type) {
    case DType::q2_k:
      return unpack_q2_k(load<BlockQ2_K>(block), out);
    case DType::q3_k:
      return unpack_q3_k(load<BlockQ3_K>(block), out);
    case DType::q4_k:
      return unpack_q4_k(load<BlockQ4_K>(block), out);
    case DType::q5_k:
      return unpack_q5_k(load<BlockQ5_K>(block), out);
    case DType::q6_k:
      return unpack_q6_k(load<BlockQ6_K>(block), out);
    case DType::iq4_xs:
      return unpack_iq4_xs(load<BlockIQ4_XS>(block), out);
    default:
      fail(Code::internal, "{} is not a type of 256-element blocks", info(type).name);
  }
}

bool has_minimum(DType type) {
  return type == DType::q4_1 || type == DType::q5_1 || type == DType::q2_k || type == DType::q4_k ||
         type == DType::q5_k;
}

void to_float(DType type, const std::byte* data, int64_t elements, float* out) {
  const DTypeInfo& row = info(type);
  WEIR_CHECK(elements >= 0 && elements % row.block_elements == 0);
  for (int64_t i = 0; i < elements; i += row.block_elements, data += row.block_bytes) {
    switch (row.kind) {
      case DTypeClass::block32: {
        UnpackedBlock32 b;
        unpack_block(type, data, b);
        for (int j = 0; j < 32; ++j) out[i + j] = b.d * static_cast<float>(b.q[j]) + b.m;
        break;
      }
      case DTypeClass::block256: {
        UnpackedBlock256 b;
        unpack_block(type, data, b);
        for (int j = 0; j < 256; ++j) {
          const float scale = b.d * static_cast<float>(b.scale[j / 16]);
          const float min = b.dmin * static_cast<float>(b.min[j / 16]);
          out[i + j] = scale * static_cast<float>(b.q[j]) - min;
        }
        break;
      }
      case DTypeClass::real:
        if (type == DType::f32)
          out[i] = load<float>(data);
        else if (type == DType::f16)
          out[i] = half_to_float(load<Half>(data));
        else
          out[i] = bfloat_to_float(load<uint16_t>(data));
        break;
      case DTypeClass::other:
        fail(Code::unsupported, "{} values cannot be read as weights", row.name);
    }
  }
}

}  // namespace weir
