// Where the numbers of a quantised KV page lie. Owns the layout (docs/numerics.md draws it) and its
// plain reading and writing, one token at a time; refuses arithmetic. No two tokens share a byte,
// so threads may write different tokens of a page at once.
//
// A part is the keys or the values of 16 tokens for one KV head: `dim` numbers a token, dim a
// multiple of 32, in blocks of 32 along the head. Number = scale * q; |q| <= 127 in Q8_0, q odd and
// |q| <= 15 in Q4_0. First the scales, a half for each [block][token], filled up to a multiple of
// 64 bytes, then the blocks:
//   keys Q8_0    [block][8 quads][16 tokens][4 numbers]    q + 128
//   keys Q4_0    [block][4 quads][16 tokens][4 numbers]    low bits (q + 15) / 2, high bits that of
//                                                          the number 16 later
//   values Q8_0  [block][2 halves][4 quads of tokens][16 numbers][4 tokens]    q
//   values Q4_0  [block][4 quads of tokens][16 numbers][4 tokens]    as keys, low and high bits
// Scales are not negative, but a Q4_0 key after the first of its page may be kept as what it is
// more than that one (as its own numbers say); then its first scale has its sign set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace weir::kernels {

inline constexpr int64_t kKvBlock = 32;

enum class KvPart : uint8_t { keys, values };

bool is_quantised_kv(DType type);  // Q8_0 or Q4_0

/// Bytes of a part, a multiple of 64; the float types too.
size_t kv_part_bytes(DType type, int64_t dim);

/// Writes `dim` numbers q and dim / 32 scales (halves) of token `slot` (0 ... 15).
void kv_put(DType type, KvPart part, std::byte* at, int64_t dim, int64_t slot, const int8_t* q,
            const uint16_t* scales);

/// The scale of a block of 32 (as a half, without its sign), one q, and whether the token of a Q4_0
/// part is a difference.
uint16_t kv_scale(const std::byte* at, int64_t block, int64_t slot);
int kv_number(DType type, KvPart part, const std::byte* at, int64_t dim, int64_t i, int64_t slot);
bool kv_is_difference(const std::byte* at, int64_t slot);

/// Scale times q of the first token of Q4_0 keys: `dim` floats.
void kv_first_key(const std::byte* at, int64_t dim, float* out);

}  // namespace weir::kernels
