// How the key/value cache looks to an attention op: pages of 16 tokens, each holding all layers and
// KV heads, and a table of page addresses for each sequence. Owns the layout of a page; refuses to
// know who allocates pages and when (cache/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "kernels/kernels.h"
#include "kernels/kv_blocks.h"
#include "tensor/dtype.h"

namespace weir {

/// Inside a page, for each layer and KV head: keys [key_dim][16] (a column a token), then values
/// [16][value_dim], each starting at a multiple of 64 bytes; Q8_0 and Q4_0 in blocks of 32 along
/// the head (kernels/kv_blocks.h).
struct KvLayout {
  DType type = DType::f16;  // f32, f16, bf16, q8_0 or q4_0
  int64_t layers = 0, kv_heads = 0;
  int64_t key_dim = 0, value_dim = 0;

  size_t key_bytes() const { return kernels::kv_part_bytes(type, key_dim); }
  size_t value_bytes() const { return kernels::kv_part_bytes(type, value_dim); }
  size_t k_offset(int64_t layer, int64_t head) const {
    return static_cast<size_t>(layer * kv_heads + head) * (key_bytes() + value_bytes());
  }
  size_t v_offset(int64_t layer, int64_t head) const { return k_offset(layer, head) + key_bytes(); }
  size_t page_bytes() const {
    return static_cast<size_t>(layers * kv_heads) * (key_bytes() + value_bytes());
  }
  bool operator==(const KvLayout&) const = default;
};

/// The pages of one sequence: page p holds positions 16 p … 16 p + 15.
struct KvView {
  const KvLayout* layout = nullptr;
  std::span<std::byte* const> pages;

  int64_t capacity() const { return static_cast<int64_t>(pages.size()) * kernels::kPageTokens; }
};

/// Rows [first_row, first_row + rows) of a batch belong to one sequence and stand at the absolute
/// positions start, start + 1, …
struct SequenceRun {
  KvView kv;
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t start = 0;
};

}  // namespace weir
