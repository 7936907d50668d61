// Element types: names, block sizes, classes. The byte layout of the quantised blocks and their
// scalar meaning stand in tensor/blocks.h. Knows nothing of files or speed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace weir {

enum class DType : uint8_t {
  f32,
  f16,
  bf16,  // floats
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,  // 32 elements a block
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,  // 256 elements a super-block
  iq4_nl,
  iq4_xs,  // non-linear 4 bit: 32 and 256 elements
  i8,
  i16,
  i32,
  i64,
  f64,  // stored in files, never weights of a matmul
};
inline constexpr int kDTypeCount = 20;

/// How the canonical arithmetic of a weight type works (docs/numerics.md).
enum class DTypeClass : uint8_t {
  real,      // f32, f16, bf16: activations stay f32
  block32,   // one scale per 32 weights; activations int8 per 32
  block256,  // integer sub-scales per 16 or 32, one scale per 256; activations int8 per 256
  other,     // no matmul
};

struct DTypeInfo {
  DType type;
  std::string_view name;   // upper case as people write it: "Q4_K"
  int64_t block_elements;  // elements in one block (1 for scalars)
  int64_t block_bytes;     // bytes of one block
  DTypeClass kind;
};

const DTypeInfo& info(DType type);
std::span<const DTypeInfo> all_dtypes();

/// Type by name, upper or lower case; nothing if there is none.
std::optional<DType> dtype_by_name(std::string_view name);

/// Bytes of `elements` values. The count must be a multiple of the block (checked), >= 0.
/// Throws Error{internal} on a broken multiple, Error{limit_exceeded} if the size overflows.
int64_t bytes_of(DType type, int64_t elements);

}  // namespace weir
