// Attention of a batch: head norms, rotation, writing keys and values into pages, attention over
// pages. Checks shapes and page counts, splits the work over threads. What a row gets depends on
// its own sequence and position only.
#pragma once

#include <cstdint>
#include <span>

#include "device/cpu/cpu_device.h"
#include "device/kv_view.h"

namespace weir {

enum class RopeMode : uint8_t { none, adjacent, split };

/// Queries, keys and values of a batch, rows of one token each, and how to rotate them.
struct AttentionRows {
  float* q = nullptr;  // {tokens, heads * key_dim}, q_stride apart
  float* k = nullptr;  // {tokens, kv_heads * key_dim}
  float* v = nullptr;  // {tokens, kv_heads * value_dim}
  int64_t q_stride = 0, k_stride = 0, v_stride = 0;
  int64_t tokens = 0, heads = 0;

  // RMS norm of q and k before the rotation; null weights: none.
  const float* q_norm = nullptr;
  const float* k_norm = nullptr;
  bool norm_full_width = false;  // over all heads at once instead of each head alone
  float norm_epsilon = 0.0f;

  RopeMode rope = RopeMode::none;
  const float* cos = nullptr;  // {tokens, pairs}
  const float* sin = nullptr;
  int64_t pairs = 0;  // the first 2 * pairs values of a head turn
};

/// Norms and rotates q and k in place and writes k and v of every row to its place in the pages of
/// its sequence, layer `layer`. For Q8_0 and Q4_0 pages q and k are turned by a Hadamard transform
/// too, which leaves their products as they are.
void prepare_attention(CpuDevice& device, const AttentionRows& rows,
                       std::span<const SequenceRun> runs, int64_t layer);

struct AttentionShape {
  int64_t layer = 0;
  int64_t window = 0;  // 0: none
  float scale = 1.0f;
  float softcap = 0.0f;
};

/// out {tokens, heads * value_dim}, rows out_stride apart. `positions`: one for each row.
void attend(CpuDevice& device, const AttentionRows& rows, std::span<const SequenceRun> runs,
            const int32_t* positions, const AttentionShape& shape, float* out, int64_t out_stride);

}  // namespace weir
