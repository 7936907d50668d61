// The forward pass of every decoder family, switched by DecoderConfig and by which weights are
// there. Owns the working memory of one batch; refuses sampling, scheduling and the choice of
// pages.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/cpu/activations.h"
#include "device/cpu/attention.h"
#include "device/cpu/cpu_device.h"
#include "device/cpu/moe.h"
#include "device/kv_view.h"
#include "model/model.h"
#include "model/rope.h"

namespace weir {

/// Tokens of one or several sequences. What a token gets does not depend on what else is here.
struct Batch {
  std::span<const int32_t> tokens;             // all runs after one another
  std::span<const SequenceRun> runs;           // with pages for all their positions
  std::span<const uint8_t> wants_logits;       // one a token; empty: the last token of each run
  std::span<const uint8_t> wants_states = {};  // one a token; empty: none
};

struct LogitRow {
  int64_t row = 0;                // in the batch
  std::span<const float> logits;  // one a vocabulary entry; valid until the next forward()
  bool finite = true;             // false: NaN or infinity; this sequence cannot go on
};

class Decoder {
 public:
  /// Working memory for up to `max_tokens` a batch and positions below `context` (which chooses the
  /// longrope divisors). Throws limit_exceeded if the memory cannot be had.
  Decoder(std::shared_ptr<const Model> model, CpuDevice& device, int64_t max_tokens,
          int64_t context);

  /// Writes keys and values of every token to its page and returns the wanted logits in row order.
  /// Throws invalid_argument (id outside the vocabulary), limit_exceeded (too many tokens, a
  /// position beyond the context) before anything is written; io if the model's file lost bytes.
  std::span<const LogitRow> forward(const Batch& batch);

  /// What the output head reads, {wanted states, width}, of the last forward() in row order.
  const float* states(int64_t i) { return states_.row(i); }

  const Model& model() const { return *model_; }
  CpuDevice& device() { return device_; }
  int64_t max_tokens() const { return max_tokens_; }
  int64_t context() const { return context_; }

  /// The page layout for this model and a KV element type.
  static KvLayout kv_layout(const DecoderConfig& config, DType type);
  /// Bytes of working memory for `max_tokens`, without logits.
  static int64_t workspace_bytes(const DecoderConfig& config, int64_t max_tokens);

 private:
  void check(const Batch& batch) const;
  void embed(const Batch& batch);
  void attention(const LayerWeights& layer, int64_t index, std::span<const SequenceRun> runs);
  void dense(const Linear* gate, const Linear& up, const Linear& down, float* out);
  void feed_forward(const LayerWeights& layer, int64_t index, float* out);
  void mixture(const ExpertWeights& experts, float* out);

  /// One region: stream += the parts (normed first where `post` is set), then normed_ = norm of the
  /// stream, or the stream itself where `next` is null, with the forms that `readers` need.
  void advance(std::span<float* const> parts, const Norm& post, const Norm* next, Forms readers);
  void normalise(const Norm& norm, const float* x, float* out) const;
  std::span<const LogitRow> logits(const Batch& batch);
  void keep_states(const Batch& batch);

  std::shared_ptr<const Model> model_;
  const DecoderConfig& config_;
  const DecoderWeights& weights_;
  CpuDevice& device_;
  int64_t max_tokens_;
  int64_t context_;
  int64_t tokens_ = 0;  // of the batch at work

  Rope rope_, local_rope_;
  std::vector<int32_t> positions_;  // one a token
  Activations stream_;              // {tokens, width}: the residual stream
  Activations normed_;              // {tokens, width}
  Activations qkv_;                 // {tokens, q, k, v}
  Activations mixed_;               // {tokens, heads * value_dim}: attention's output
  Activations attention_out_;       // {tokens, width}
  Activations feed_forward_out_;    // {tokens, width}
  Activations hidden_, spare_;      // {tokens, hidden}
  Activations shared_gate_;         // {tokens, 1}
  Activations shared_out_;          // {tokens, width}
  MoeWorkspace moe_;
  Activations last_;    // {logit rows, width}
  Activations states_;  // {wanted states, width}; memory is taken at the first use
  Buffer logits_;       // {logit rows, vocabulary}; grows to the most rows asked for
  std::vector<LogitRow> rows_;
};

}  // namespace weir
