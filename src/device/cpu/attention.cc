// Work on attention rows. Preparing is split by token, attending by (sequence, KV head, block of
// tokens). Where that gives few tasks, long contexts are cut into parts whose results are merged
// (Flash-Decoding, Dao et al. 2023), short ones leave groups of heads to cut.
#include "device/cpu/attention.h"

#include <algorithm>
#include <iterator>

#include "base/checked.h"
#include "base/error.h"
#include "device/cpu/kv_write.h"

namespace weir {
namespace {

using kernels::kAttentionSegment;
using kernels::KernelTable;
using kernels::kPageTokens;

// A whole number of tiles of twelve queries, however many heads share a KV head.
constexpr int64_t kTokenBlock = 24;
// Tasks a thread should have at least. More even out that one thread is faster than another, but
// states of many queries do not stay in the caches.
constexpr int64_t kTasksOfToken = 8, kTasksOfTokens = 2;
constexpr int64_t kSegmentsOfPart = 2;  // or more: a part costs a start and a merge

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

/// How the work of attend() is cut: a task is a KV head for a block of tokens, and, where these are
/// few, one of `parts` of the segments that they see or one of `pieces` of the heads in a group.
struct Cut {
  int64_t blocks, pieces, parts;
  int64_t task_floats;  // of the states of a task, whose group is whole
};

/// The tasks of one call of attend().
struct AttentionTasks {
  CpuDevice& device;
  const AttentionRows& rows;
  std::span<const SequenceRun> runs;
  const int32_t* positions;
  const AttentionShape& shape;
  float* out;
  int64_t out_stride;
  const KvLayout& layout = *runs[0].kv.layout;
  int64_t group = rows.heads / layout.kv_heads;

  Cut cut() const {
    Cut cut{};
    int64_t segments = 0, tokens = 0;
    for (const SequenceRun& run : runs) {
      WEIR_CHECK(*run.kv.layout == layout, "sequences of one batch share a page layout");
      cut.blocks += div_up(run.rows, kTokenBlock);
      tokens = std::max(tokens, std::min(run.rows, kTokenBlock));
      segments = std::max(segments, segments_of(run.first_row, run.rows));
    }
    const int64_t tasks = cut.blocks * layout.kv_heads, threads = device.threads();
    cut.task_floats = segments * tokens * group * common().state_floats();
    const bool fits = tasks * cut.task_floats <= std::ssize(device.attention_states());
    const int64_t wanted = (tokens == 1 ? kTasksOfToken : kTasksOfTokens) * threads;
    cut.parts = 1;
    if (threads > 1 && fits)
      cut.parts =
          std::clamp<int64_t>(wanted / tasks, 1, std::max<int64_t>(1, segments / kSegmentsOfPart));
    // Pieces of a group read the same keys again, so only where threads would stand idle.
    cut.pieces = std::clamp<int64_t>(threads / (tasks * cut.parts), 1, group);
    return cut;
  }

  /// In multiply-adds.
  int64_t work() const {
    int64_t pairs = 0;
    for (const SequenceRun& run : runs) pairs += run.rows * (run.start + run.rows);
    return pairs * rows.heads * (layout.key_dim + layout.value_dim);
  }

  /// Task number `task` of all but the parts: all segments that its queries see. Later blocks see
  /// more positions and come first, so that what is claimed last is short.
  kernels::AttentionArgs args(const Cut& cut, int64_t task, int thread) const {
    const TokenBlock block = block_at(runs, cut.blocks - 1 - task % cut.blocks);
    const int64_t head = task / cut.blocks / cut.pieces, piece = task / cut.blocks % cut.pieces;
    const int64_t first = group * piece / cut.pieces, last = group * (piece + 1) / cut.pieces;
    kernels::AttentionArgs args = common();
    args.pages = block.kv.pages.data();
    args.tokens = block.tokens;
    args.positions = positions + block.row;
    args.k_offset = layout.k_offset(shape.layer, head);
    args.v_offset = layout.v_offset(shape.layer, head);
    args.group = last - first;
    args.q = rows.q + block.row * rows.q_stride + (head * group + first) * layout.key_dim;
    args.out = out + block.row * out_stride + (head * group + first) * layout.value_dim;
    args.scratch = device.scratch(thread);
    if (cut.parts == 1) return args;
    const int64_t whole = task % cut.blocks * layout.kv_heads + head;
    args.states = device.attention_states().data() + whole * cut.task_floats +
                  first * (cut.task_floats / group);
    args.states_from = args.first_segment = args.first_seen(args.positions[0]) / kAttentionSegment;
    args.last_segment = args.first_segment + segments_of(block.row, block.tokens);
    return args;
  }

 private:
  /// What is the same for all tasks.
  kernels::AttentionArgs common() const {
    kernels::AttentionArgs args;
    args.kv_type = layout.type;
    args.head_dim = layout.key_dim;
    args.value_dim = layout.value_dim;
    args.q_stride = rows.q_stride;
    args.window = shape.window;
    args.scale = shape.scale;
    args.softcap = shape.softcap;
    args.out_stride = out_stride;
    return args;
  }
  /// How many segments rows [row, row + count) of one run see.
  int64_t segments_of(int64_t row, int64_t count) const {
    const int64_t first = common().first_seen(positions[row]), last = positions[row + count - 1];
    return last / kAttentionSegment - first / kAttentionSegment + 1;
  }
};

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
  const AttentionTasks all{device, rows, runs, positions, shape, out, out_stride};
  const Cut cut = all.cut();
  // One claim, one task: a task is long, and tasks are not equal.
  const Grain one{.units = 1, .quarters = 0};
  const int64_t tasks = cut.blocks * all.layout.kv_heads * cut.pieces;
  device.split(tasks * cut.parts, one, all.work(), [&](int thread, int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      kernels::AttentionArgs args = all.args(cut, task / cut.parts, thread);
      const int64_t part = task % cut.parts, segments = args.last_segment - args.first_segment;
      args.last_segment = args.first_segment + segments * (part + 1) / cut.parts;
      args.first_segment += segments * part / cut.parts;
      device.table().attention(args);
    }
  });
  if (cut.parts == 1) return;
  device.split(tasks, one, tasks * cut.task_floats, [&](int thread, int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task)
      device.table().merge_attention(all.args(cut, task, thread));
  });
}

}  // namespace weir
