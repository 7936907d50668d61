// A model with everything that a forward pass needs, for tests: one device, one pool, any number of
// sequences.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cache/sequence.h"
#include "model/decoder.h"

namespace weir::test {

class Runner {
 public:
  Runner(std::shared_ptr<const Model> model, int threads, DType kv_type, int64_t context,
         int64_t max_tokens, int64_t sequences = 1)
      : device_(threads),
        decoder_(std::move(model), device_, max_tokens, context),
        pool_(Decoder::kv_layout(decoder_.model().config(), kv_type),
              sequences * ((context + 15) / 16)) {}

  PagePool& pool() { return pool_; }
  Decoder& decoder() { return decoder_; }

  /// Logits of every token of `ids`, appended to `sequence` in chunks of `chunk`.
  std::vector<std::vector<float>> logits(Sequence& sequence, std::span<const int32_t> ids,
                                         size_t chunk) {
    std::vector<std::vector<float>> rows;
    for (size_t begin = 0; begin < ids.size(); begin += chunk) {
      const auto part = ids.subspan(begin, std::min(chunk, ids.size() - begin));
      auto stepped = step({{&sequence, part}});
      for (auto& row : stepped[0]) rows.push_back(std::move(row));
    }
    return rows;
  }

  /// One batch of parts of several sequences; logits of every token, by part.
  std::vector<std::vector<std::vector<float>>> step(
      const std::vector<std::pair<Sequence*, std::span<const int32_t>>>& parts) {
    std::vector<int32_t> tokens;
    std::vector<SequenceRun> runs;
    for (const auto& [sequence, ids] : parts) {
      const auto count = static_cast<int64_t>(ids.size());
      sequence->reserve(sequence->length() + count);
      runs.push_back(
          {sequence->view(), static_cast<int64_t>(tokens.size()), count, sequence->length()});
      tokens.insert(tokens.end(), ids.begin(), ids.end());
    }
    const std::vector<uint8_t> wanted(tokens.size(), 1);
    const auto rows = decoder_.forward({tokens, runs, wanted});
    std::vector<std::vector<std::vector<float>>> out(parts.size());
    size_t row = 0;
    for (size_t p = 0; p < parts.size(); ++p) {
      parts[p].first->append(static_cast<int64_t>(parts[p].second.size()));
      for (size_t i = 0; i < parts[p].second.size(); ++i, ++row)
        out[p].emplace_back(rows[row].logits.begin(), rows[row].logits.end());
    }
    return out;
  }

 private:
  CpuDevice device_;
  Decoder decoder_;
  PagePool pool_;
};

/// Logits of every token of a new sequence.
inline std::vector<std::vector<float>> all_logits(const std::shared_ptr<const Model>& model,
                                                  std::span<const int32_t> ids, size_t chunk,
                                                  int threads, DType kv_type = DType::f32) {
  Runner runner(model, threads, kv_type, static_cast<int64_t>(ids.size()),
                static_cast<int64_t>(chunk));
  Sequence sequence(runner.pool());
  return runner.logits(sequence, ids, chunk);
}

}  // namespace weir::test
