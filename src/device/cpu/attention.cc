// Work on attention rows. Preparing is split by token, attending by (sequence, KV head, block of
// tokens), and by groups of heads too where that gives fewer pieces than threads.
#include "device/cpu/attention.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "device/cpu/kv_write.h"

namespace weir {
namespace {

using kernels::KernelTable;
using kernels::kPageTokens;

// A whole number of tiles of twelve queries, however many heads share a KV head.
constexpr int64_t kTokenBlock = 24;

void norm_heads(const KernelTable& table, float* x, int64_t heads, int64_t dim, const float* weight,
                bool full_width, float epsilon) {
  if (weight == nullptr) return;
  if (full_width) {
    table.rms_norm(x, weight, heads * dim, epsilon, x);
    return;
  }
  for (int64_t h = 0; h < heads; ++h)
    table.rms_norm(x + h * dim, weight, dim, epsilon, x + h * dim);
}

void rotate_heads(const KernelTable& table, RopeMode mode, float* x, int64_t heads, int64_t dim,
                  const float* cos, const float* sin, int64_t pairs) {
  if (mode == RopeMode::none) return;
  const auto rotate = mode == RopeMode::adjacent ? table.rope_adjacent : table.rope_split;
  for (int64_t h = 0; h < heads; ++h) rotate(x + h * dim, cos, sin, pairs);
}

/// Spreads outliers over a head before it is quantised: blocks of the largest power of two that
/// divides it. Queries and keys alike, so that their products stay.
void spread_heads(const KernelTable& table, float* x, int64_t values, int64_t dim) {
  const int64_t block = dim & -dim;
  for (int64_t i = 0; i < values; i += block) table.hadamard(x + i, block);
}

void check(const AttentionRows& rows, std::span<const SequenceRun> runs, int64_t layer) {
  int64_t next = 0;
  for (const SequenceRun& run : runs) {
    const KvLayout& l = *run.kv.layout;
    WEIR_CHECK(run.first_row == next && run.rows >= 1, "run at row {}, expected {}", run.first_row,
               next);
    WEIR_CHECK(run.start >= 0 && run.start + run.rows <= run.kv.capacity(),
               "positions {} to {} in pages for {}", run.start, run.start + run.rows - 1,
               run.kv.capacity());
    WEIR_CHECK(layer >= 0 && layer < l.layers && rows.heads % l.kv_heads == 0,
               "layer {} of {}, {} heads over {} KV heads", layer, l.layers, rows.heads,
               l.kv_heads);
    WEIR_CHECK(l.key_dim <= kernels::kMaxHeadDim && l.value_dim <= kernels::kMaxHeadDim &&
                   2 * rows.pairs <= l.key_dim,
               "head of {} and {} values, {} turned", l.key_dim, l.value_dim, 2 * rows.pairs);
    next += run.rows;
  }
  WEIR_CHECK(next == rows.tokens, "runs cover {} of {} rows", next, rows.tokens);
}

/// Up to kTokenBlock tokens of one run.
struct TokenBlock {
  const KvView& kv;
  int64_t row, tokens;
};
/// Number `index` of all runs' blocks.
TokenBlock block_at(std::span<const SequenceRun> runs, int64_t index) {
  const SequenceRun* run = runs.data();
  for (; index >= div_up(run->rows, kTokenBlock); ++run) index -= div_up(run->rows, kTokenBlock);
  const int64_t begin = index * kTokenBlock;
  return {run->kv, run->first_row + begin, std::min(kTokenBlock, run->rows - begin)};
}

/// Where row t of a batch stands.
struct Place {
  const KvView& kv;
  int64_t position;
};
Place place_of(std::span<const SequenceRun> runs, int64_t t) {
  const auto after =
      std::upper_bound(runs.begin(), runs.end(), t,
                       [](int64_t row, const SequenceRun& r) { return row < r.first_row; });
  const SequenceRun& run = *(after - 1);
  return {run.kv, run.start + t - run.first_row};
}

}  // namespace

void prepare_attention(CpuDevice& device, const AttentionRows& rows,
                       std::span<const SequenceRun> runs, int64_t layer) {
  check(rows, runs, layer);
  if (rows.tokens == 0) return;
  const KernelTable& table = device.table();
  const int64_t dim = runs[0].kv.layout->key_dim, kv_heads = runs[0].kv.layout->kv_heads;
  device.for_each_row(rows.tokens, 4 * (rows.heads + kv_heads) * dim, [&](int64_t t, int) {
    float* const q = rows.q + t * rows.q_stride;
    float* const k = rows.k + t * rows.k_stride;
    norm_heads(table, q, rows.heads, dim, rows.q_norm, rows.norm_full_width, rows.norm_epsilon);
    norm_heads(table, k, kv_heads, dim, rows.k_norm, rows.norm_full_width, rows.norm_epsilon);
    const float* const cos = rows.cos + t * rows.pairs;
    const float* const sin = rows.sin + t * rows.pairs;
    rotate_heads(table, rows.rope, q, rows.heads, dim, cos, sin, rows.pairs);
    rotate_heads(table, rows.rope, k, kv_heads, dim, cos, sin, rows.pairs);
    if (kernels::is_quantised_kv(runs[0].kv.layout->type)) {
      spread_heads(table, q, rows.heads * dim, dim);
      spread_heads(table, k, kv_heads * dim, dim);
    }
    const Place at = place_of(runs, t);
    write_token(table, at.kv, layer, at.position, k, rows.v + t * rows.v_stride);
  });
  if (runs[0].kv.layout->type != DType::q4_0) return;
  // Keys of four bits need the first one of their page, which another thread may have written.
  device.for_each_row(rows.tokens, 4 * kv_heads * dim, [&](int64_t t, int) {
    const Place at = place_of(runs, t);
    if (at.position % kPageTokens != 0)
      write_key4(table, at.kv, layer, at.position, rows.k + t * rows.k_stride);
  });
}

void attend(CpuDevice& device, const AttentionRows& rows, std::span<const SequenceRun> runs,
            const int32_t* positions, const AttentionShape& shape, float* out, int64_t out_stride) {
  check(rows, runs, shape.layer);
  if (rows.tokens == 0) return;
  const KvLayout& layout = *runs[0].kv.layout;
  const int64_t group = rows.heads / layout.kv_heads;
  int64_t blocks = 0, work = 0;
  for (const SequenceRun& run : runs) {
    WEIR_CHECK(*run.kv.layout == layout, "sequences of one batch share a page layout");
    blocks += div_up(run.rows, kTokenBlock);
    work += run.rows * (run.start + run.rows) * rows.heads * (layout.key_dim + layout.value_dim);
  }
  // Pieces of a group read the same keys twice, so only where threads would stand idle.
  const int64_t pieces =
      std::clamp<int64_t>(device.threads() / (blocks * layout.kv_heads), 1, group);
  // One claim, one task: a task is long, and tasks are not equal. Later blocks see more positions
  // and come first, so that the last ones to be claimed are short.
  const int64_t tasks = layout.kv_heads * pieces * blocks;
  device.split(
      tasks, {.units = 1, .quarters = 0}, work, [&](int thread, int64_t next, int64_t end) {
        kernels::AttentionArgs args;
        args.kv_type = layout.type;
        args.head_dim = layout.key_dim;
        args.value_dim = layout.value_dim;
        args.q_stride = rows.q_stride;
        args.window = shape.window;
        args.scale = shape.scale;
        args.softcap = shape.softcap;
        args.out_stride = out_stride;
        args.scratch = device.scratch(thread);
        for (; next < end; ++next) {
          const TokenBlock block = block_at(runs, blocks - 1 - next % blocks);
          const int64_t head = next / blocks / pieces, piece = next / blocks % pieces;
          const int64_t first = group * piece / pieces, last = group * (piece + 1) / pieces;
          args.pages = block.kv.pages.data();
          args.tokens = block.tokens;
          args.positions = positions + block.row;
          args.k_offset = layout.k_offset(shape.layer, head);
          args.v_offset = layout.v_offset(shape.layer, head);
          args.group = last - first;
          args.q = rows.q + block.row * rows.q_stride + (head * group + first) * layout.key_dim;
          args.out = out + block.row * out_stride + (head * group + first) * layout.value_dim;
          device.table().attention(args);
        }
      });
}

}  // namespace weir
