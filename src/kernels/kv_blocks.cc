#include "kernels/kv_blocks.h"

#include <cstring>

#include "tensor/blocks.h"

namespace weir::kernels {
namespace {

constexpr int64_t kTokens = 16;

size_t scale_bytes(int64_t dim) {
  const auto bytes = static_cast<size_t>(dim / kKvBlock * kTokens) * sizeof(uint16_t);
  return (bytes + 63) / 64 * 64;
}

/// Where number i of a token lies behind the scales, as bytes of whole numbers in blocks of 32;
/// Q4_0 folds each block in two.
size_t place(DType type, KvPart part, int64_t i, int64_t slot) {
  const bool four = type == DType::q4_0;
  const int64_t block = i / kKvBlock;
  int64_t in = i % kKvBlock;
  if (four) in %= 16;
  const int64_t start = block * kKvBlock * kTokens / (four ? 2 : 1);
  if (part == KvPart::keys)
    return static_cast<size_t>(start + (in / 4 * kTokens + slot) * 4 + in % 4);
  return static_cast<size_t>(start + in / 16 * 256 + (slot / 4 * 16 + in % 16) * 4 + slot % 4);
}

}  // namespace

bool is_quantised_kv(DType type) { return type == DType::q8_0 || type == DType::q4_0; }

size_t kv_part_bytes(DType type, int64_t dim) {
  const auto bytes = static_cast<size_t>(bytes_of(type, dim * kTokens));
  if (!is_quantised_kv(type)) return (bytes + 63) / 64 * 64;
  const size_t numbers = static_cast<size_t>(dim * kTokens) / (type == DType::q4_0 ? 2 : 1);
  return scale_bytes(dim) + (numbers + 63) / 64 * 64;
}

void kv_put(DType type, KvPart part, std::byte* at, int64_t dim, int64_t slot, const int8_t* q,
            const uint16_t* scales) {
  for (int64_t b = 0; b < dim / kKvBlock; ++b)
    std::memcpy(at + (b * kTokens + slot) * 2, scales + b, sizeof(uint16_t));
  auto* const to = reinterpret_cast<uint8_t*>(at + scale_bytes(dim));
  for (int64_t b = 0; b < dim; b += kKvBlock, q += kKvBlock) {
    if (type == DType::q4_0) {
      for (int64_t i = 0; i < 16; ++i)
        to[place(type, part, b + i, slot)] =
            static_cast<uint8_t>((q[i] + 15) / 2 | (q[i + 16] + 15) / 2 << 4);
    } else {
      const int bias = part == KvPart::keys ? 128 : 0;
      for (int64_t i = 0; i < kKvBlock; ++i)
        to[place(type, part, b + i, slot)] = static_cast<uint8_t>(q[i] + bias);
    }
  }
}

uint16_t kv_scale(const std::byte* at, int64_t block, int64_t slot) {
  uint16_t half;
  std::memcpy(&half, at + (block * kTokens + slot) * 2, sizeof half);
  return half & 0x7fff;
}

bool kv_is_difference(const std::byte* at, int64_t slot) {
  uint16_t half;
  std::memcpy(&half, at + slot * 2, sizeof half);
  return (half & 0x8000) != 0;
}

void kv_first_key(const std::byte* at, int64_t dim, float* out) {
  const auto* quads = reinterpret_cast<const uint8_t*>(at + scale_bytes(dim));
  for (int64_t b = 0; b < dim / kKvBlock; ++b, out += kKvBlock) {
    const float d = half_to_float(kv_scale(at, b, 0));
    for (int64_t i = 0; i < 16; ++i) {
      const uint8_t two = quads[place(DType::q4_0, KvPart::keys, kKvBlock * b + i, 0)];
      out[i] = d * static_cast<float>(2 * (two & 15) - 15);
      out[i + 16] = d * static_cast<float>(2 * (two >> 4) - 15);
    }
  }
}

int kv_number(DType type, KvPart part, const std::byte* at, int64_t dim, int64_t i, int64_t slot) {
  const auto byte = static_cast<uint8_t>((at + scale_bytes(dim))[place(type, part, i, slot)]);
  if (type == DType::q4_0) return 2 * (i % kKvBlock < 16 ? byte & 15 : byte >> 4) - 15;
  return part == KvPart::keys ? byte - 128 : static_cast<int8_t>(byte);
}

}  // namespace weir::kernels
