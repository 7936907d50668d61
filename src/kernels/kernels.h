// The one table that lists every kernel. A table per ISA; `ref` defines the answers and every other
// table must equal it bit for bit (docs/numerics.md). Kernels work on raw pointers: no tensors, no
// threads, no allocation. This header is included by ISA folders: declarations only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace weir::kernels {

/// Version of the canonical arithmetic; stored with everything that outlives a process.
inline constexpr int kNumericsVersion = 3;
/// The same with the option "bf16-dot".
inline constexpr int kBf16DotVersion = kNumericsVersion + 0x10000;

/// Along k a chain of FMAs restarts at +0 every kSegment inputs; segments are added in order.
inline constexpr int64_t kSegment = 2048;

/// Positions of one attention segment and of one KV page.
inline constexpr int64_t kAttentionSegment = 256;
inline constexpr int64_t kPageTokens = 16;

/// How far sums over the quantised activations of a block of 256 can reach, in magnitude: the most
/// over its runs of 16 with any factors from -1 to 1, and of 32 with any from 0 to 1.
struct Peak {
  uint16_t of_16, of_32;
};

/// Activations quantised to int8, one row a token. `block` is 32 or 256 (the weight's class).
/// Row t: values q + t * q_stride, scales d + t * d_stride (one per block), sums s + t * s_stride
/// (the sum of q over each run of 32 for block 32, of 16 for block 256) and, only for block 256,
/// peak + t * d_stride (one per block).
struct QuantRows {
  int8_t* q = nullptr;
  float* d = nullptr;
  int16_t* s = nullptr;
  int64_t q_stride = 0, d_stride = 0, s_stride = 0;
  Peak* peak = nullptr;

  /// The rows from t on.
  QuantRows from(int64_t t) const {
    return {q + t * q_stride,
            d + t * d_stride,
            s + t * s_stride,
            q_stride,
            d_stride,
            s_stride,
            peak != nullptr ? peak + t * d_stride : nullptr};
  }
};

/// out[t * out_stride + r] = dot(weight row r, activation row t), r < rows, t < tokens.
struct MatmulArgs {
  const std::byte* w = nullptr;  // weight row 0, rows of `row_bytes`
  /// Weights that this thread reads after these, asked for ahead. Null: those that follow here.
  const std::byte* next = nullptr;
  size_t row_bytes = 0;
  int64_t rows = 0;
  int64_t k = 0;  // inputs; a multiple of the weight type's block
  int64_t tokens = 0;
  const float* x = nullptr;  // class real: tokens rows of k floats, x_stride apart
  int64_t x_stride = 0;
  QuantRows xq;  // class block32 / block256
  float* out = nullptr;
  int64_t out_stride = 0;
  std::byte* scratch = nullptr;  // kMatmulScratch bytes, 64-byte aligned, one per thread

  const std::byte* end() const { return w + static_cast<size_t>(rows) * row_bytes; }
  const std::byte* after() const { return next != nullptr ? next : end(); }
};
inline constexpr size_t kMatmulScratch = size_t{1} << 20;

enum class Activation : uint8_t { silu, gelu_tanh, gelu_erf, relu, relu_squared };

/// Attention of `tokens` x `group` queries over one KV head of one sequence.
/// Key page: [head_dim][16] (a column a token). Value page: [16][value_dim]. Both of kv_type; Q8_0
/// and Q4_0 lie as kernels/kv_blocks.h says, head_dim and value_dim multiples of 32.
/// Page p holds positions 16 p ... 16 p + 15, at pages[p] + k_offset / v_offset.
/// A query at position P sees positions max(0, P - window + 1) ... P (window 0: no limit).
struct AttentionArgs {
  const std::byte* const* pages = nullptr;
  size_t k_offset = 0, v_offset = 0;
  DType kv_type = DType::f16;  // f32, f16, bf16, q8_0 or q4_0
  int64_t head_dim = 0, value_dim = 0;
  const float* q = nullptr;  // query (t, g) at q + t * q_stride + g * head_dim
  int64_t q_stride = 0;
  const int32_t* positions = nullptr;  // one a token
  int64_t tokens = 0, group = 0;
  int64_t window = 0;
  float scale = 1.0f;
  float softcap = 0.0f;  // 0: none; else s = softcap * tanh(s / softcap)
  float* out = nullptr;  // (t, g) at out + t * out_stride + g * value_dim
  int64_t out_stride = 0;
  std::byte* scratch = nullptr;  // kAttentionScratch bytes, 64-byte aligned, one per thread

  // Where `states` is not null, attention() walks segments [first_segment, last_segment) alone and
  // leaves what each makes of each query that sees it at state(); merge_attention() makes `out` of
  // all that a query sees. Segment `states_from` lies first.
  float* states = nullptr;
  int64_t states_from = 0, first_segment = 0, last_segment = 0;

  /// Floats of a state: sum of weights, the score they are held against, padding up to 16; then the
  /// weighted sum of values, padded to a multiple of 16.
  int64_t state_floats() const { return 16 + (value_dim + 15) / 16 * 16; }
  /// The state of a segment for query t * group + g.
  float* state(int64_t query, int64_t segment) const {
    return states + ((segment - states_from) * tokens * group + query) * state_floats();
  }
  /// The first position that a query at `position` sees.
  int64_t first_seen(int64_t position) const {
    return window > 0 && position >= window ? position - window + 1 : 0;
  }
};
inline constexpr size_t kAttentionScratch = size_t{1} << 20;
inline constexpr int64_t kMaxHeadDim = 1024;

struct KernelTable {
  const char* isa;

  /// By DType; null for types of class `other`.
  void (*matmul[kDTypeCount])(const MatmulArgs&);

  /// One row of k activations (multiple of 32 / 256) to int8 with round half to even.
  /// NaN or infinity in a block gives q = 0, d = NaN, so that it reaches the output.
  void (*quantize32)(const float* x, int64_t k, int8_t* q, float* d, int16_t* s);
  void (*quantize256)(const float* x, int64_t k, int8_t* q, float* d, int16_t* s, Peak* peak);

  /// One row for a Q4_0 KV page: x near d * q, q odd, |q| <= 15, k a multiple of 32. NaN or
  /// infinity in a block gives d = NaN.
  void (*quantize4)(const float* x, int64_t k, int8_t* q, float* d);
  /// Orthonormal Walsh-Hadamard transform of n values in place; n a power of two, 32 or more.
  void (*hadamard)(float* x, int64_t n);

  void (*attention)(const AttentionArgs&);
  void (*merge_attention)(const AttentionArgs&);

  /// out = x / sqrt(mean(x^2) + eps) * weight; weight may be null (ones). In place allowed.
  void (*rms_norm)(const float* x, const float* weight, int64_t n, float eps, float* out);
  /// out = (x - mean) / sqrt(var + eps) * weight + bias; weight, bias may be null.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int64_t n, float eps,
                     float* out);

  /// Rotates the first 2 * pairs values of one head in place. cos, sin: `pairs` values each.
  /// Adjacent: pairs are (2i, 2i+1); split: (i, i + pairs) as GPT-NeoX and Hugging Face do.
  void (*rope_adjacent)(float* x, const float* cos, const float* sin, int64_t pairs);
  void (*rope_split)(float* x, const float* cos, const float* sin, int64_t pairs);

  /// out = f(x) * up, or f(x) where up is null. In place allowed.
  void (*activate)(Activation f, const float* x, const float* up, int64_t n, float* out);
  /// x = cap * tanh(x / cap), in place.
  void (*softcap)(float* x, int64_t n, float cap);
  /// x = softmax(x), in place; exp and sum in the canonical order.
  void (*softmax)(float* x, int64_t n);

  void (*to_half)(const float* x, int64_t n, uint16_t* out);  // round to nearest even

  // The ceilings, for reports: arithmetic in registers (returns the operations done, a multiply
  // and an add count two) and reading memory once.
  int64_t (*probe_int8)(int64_t rounds);
  int64_t (*probe_fma)(int64_t rounds);
  void (*probe_read)(const std::byte* data, size_t bytes);
  int64_t (*probe_bf16)(int64_t rounds);  // null but in bf16_dot_table(), and there without AVX-512
};

/// The plain table that defines the answers.
const KernelTable& ref_table();

/// Tables compiled into this program that this processor can run, best first; never empty, the
/// last one is `ref_table()`, whose name is "scalar".
struct TableList {
  const KernelTable* const* begin_;
  const KernelTable* const* end_;
  const KernelTable* const* begin() const { return begin_; }
  const KernelTable* const* end() const { return end_; }
};
TableList tables();

/// The table in use: the best one, or the one that WEIR_ISA names. Chosen on first use; throws
/// Error{invalid_argument} listing the names if WEIR_ISA names none that can run here.
const KernelTable& active_table();

/// The table in use with the numerics option "bf16-dot" (docs/numerics.md): matmuls of F16 and BF16
/// weights by products of BF16 pairs, another answer for more speed. Its isa is "avx512+bf16-dot"
/// or, the plain twin, "scalar+bf16-dot". Throws Error{unsupported} where the table in use is
/// neither, or the processor lacks AVX512_BF16.
const KernelTable& bf16_dot_table();

/// The same for any of tables(); null where there is none.
const KernelTable* bf16_dot_table_of(const KernelTable& table);

}  // namespace weir::kernels
