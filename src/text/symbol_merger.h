// Merging of neighbouring symbols, best rank first and leftmost among equals: the loop that
// byte-level BPE, character BPE and SentencePiece BPE share. Short words are searched plainly; long
// ones through a queue, so that a text of n symbols takes O(n log n) at worst and 16 bytes a
// symbol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <queue>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weir {

inline constexpr uint32_t kNoMerge = std::numeric_limits<uint32_t>::max();

/// What two neighbours become: the lower the rank, the earlier.
struct MergeResult {
  uint32_t rank = kNoMerge;
  int32_t id = -1;
};

struct Symbol {
  uint32_t begin = 0;        // byte in the word
  int32_t id = -1;           // token, or -1 if these bytes are none
  uint32_t span = 1;         // atoms; kept at the first and the last atom of a symbol
  uint32_t rank = kNoMerge;  // of the merge with the right neighbour
};

/// Hands out (rank, position) in ascending order. Equal ranks lie in one bucket that is sorted when
/// its turn comes, which is cheaper than a heap of all entries and keeps memory accesses in order.
class MergeQueue {
 public:
  /// Empties the queue and prepares it for `count` symbols.
  void start(size_t count);
  void push(uint32_t rank, uint32_t position);
  bool pop(uint32_t& rank, uint32_t& position);

 private:
  bool activate_next();

  using Late = std::pair<uint32_t, uint32_t>;
  std::unordered_map<uint32_t, std::vector<uint32_t>> buckets_;  // ranks above the active one
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ranks_;
  std::priority_queue<Late, std::vector<Late>, std::greater<>> late_;  // pushed at or below it
  std::vector<uint32_t> active_;
  size_t cursor_ = 0;
  int64_t active_rank_ = -1;
  size_t first_bucket_size_ = 0;
  uint32_t last_rank_ = kNoMerge;  // of the bucket used last
  std::vector<uint32_t>* last_bucket_ = nullptr;
};

/// The last answer for each of some pairs of tokens. A text asks for few pairs very often, and this
/// stays in a near cache where the table of all merges does not.
class PairCache {
 public:
  template <typename Compute>
  MergeResult get(int32_t left, int32_t right, Compute&& compute) {
    if (entries_.empty()) entries_.resize(kEntries);
    const uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 |
                         static_cast<uint32_t>(right);
    Entry& entry = entries_[(key * 0x9E3779B97F4A7C15U) >> (64 - kBits)];
    if (entry.key != key) entry = {key, compute()};
    return entry.result;
  }

 private:
  static constexpr int kBits = 13;
  static constexpr size_t kEntries = size_t{1} << kBits;
  struct Entry {
    uint64_t key = ~uint64_t{0};  // no pair of ids >= 0 has this key
    MergeResult result;
  };
  std::vector<Entry> entries_;
};

/// Memory that one call of the tokenizer uses for all its words.
struct MergeScratch {
  std::vector<Symbol> symbols;
  MergeQueue queue;
  PairCache pairs;
};

namespace detail {

inline constexpr size_t kPlainSearchMax = 40;  // symbols; above, the queue is faster

/// `merge_of(left, right, end)`: the result for two neighbours, `end` being the byte after right.
template <typename MergeOf>
void merge_short(std::vector<Symbol>& symbols, uint32_t text_end, const MergeOf& merge_of) {
  const auto end_of = [&](size_t i) {
    return i + 1 < symbols.size() ? symbols[i + 1].begin : text_end;
  };
  const auto rank_of = [&](size_t i) {
    return i + 1 < symbols.size() ? merge_of(symbols[i], symbols[i + 1], end_of(i + 1)).rank
                                  : kNoMerge;
  };
  for (size_t i = 0; i < symbols.size(); ++i) symbols[i].rank = rank_of(i);
  while (true) {
    size_t best = 0;
    for (size_t i = 1; i < symbols.size(); ++i) {
      if (symbols[i].rank < symbols[best].rank) best = i;
    }
    if (symbols.empty() || symbols[best].rank == kNoMerge) return;
    symbols[best].id = merge_of(symbols[best], symbols[best + 1], end_of(best + 1)).id;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    symbols[best].rank = rank_of(best);
    if (best > 0) symbols[best - 1].rank = rank_of(best - 1);
  }
}

template <typename MergeOf>
void merge_long(std::vector<Symbol>& symbols, MergeQueue& queue, uint32_t text_end,
                const MergeOf& merge_of) {
  const size_t count = symbols.size();
  const auto next = [&](size_t i) { return i + symbols[i].span; };
  const auto result_at = [&](size_t i) -> MergeResult {
    const size_t j = next(i);
    if (j >= count) return {};
    const size_t after = next(j);
    return merge_of(symbols[i], symbols[j], after < count ? symbols[after].begin : text_end);
  };
  const auto refresh = [&](size_t i) {
    symbols[i].rank = result_at(i).rank;
    if (symbols[i].rank != kNoMerge) queue.push(symbols[i].rank, static_cast<uint32_t>(i));
  };
  queue.start(count);
  for (size_t i = 0; i < count; ++i) refresh(i);
  uint32_t rank = 0;
  uint32_t at = 0;
  while (queue.pop(rank, at)) {
    Symbol& left = symbols[at];
    if (left.rank != rank) continue;  // merged away or changed since it was queued
    left.id = result_at(at).id;
    const size_t right = next(at);
    left.span += symbols[right].span;
    symbols[right].rank = kNoMerge;
    symbols[at + left.span - 1].span = left.span;
    refresh(at);
    if (at > 0) refresh(at - symbols[at - 1].span);
  }
  size_t kept = 0;
  for (size_t i = 0; i < count;) {
    const size_t following = next(i);
    symbols[kept++] = symbols[i];
    i = following;
  }
  symbols.resize(kept);
}

}  // namespace detail

/// Merges `scratch.symbols` (atoms in order, span 1) until nothing more can be merged. Afterwards
/// they are the symbols that remain.
template <typename MergeOf>
void merge_symbols(MergeScratch& scratch, uint32_t text_end, const MergeOf& merge_of) {
  if (scratch.symbols.size() <= detail::kPlainSearchMax) {
    detail::merge_short(scratch.symbols, text_end, merge_of);
  } else {
    detail::merge_long(scratch.symbols, scratch.queue, text_end, merge_of);
  }
}

}  // namespace weir
