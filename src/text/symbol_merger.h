// Merging of neighbouring symbols, best rank first and leftmost among equals: the loop that
// byte-level BPE, character BPE and SentencePiece BPE share. Short words are searched plainly; long
// ones through a queue, so that a text of n symbols takes O(n log n) at worst and about 12 bytes a
// symbol.
#pragma once

#include <array>
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

/// A stretch of atoms (bytes or characters) that has become one symbol.
struct Symbol {
  int32_t id = -1;    // token, -1 if these atoms are none
  uint32_t span = 1;  // atoms; kept at the first and the last atom of the symbol
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
    const uint64_t key =
        static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
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
  std::vector<uint32_t> begins;  // characters as atoms: the byte at which each starts
  MergeQueue queue;
  PairCache pairs;
};

namespace detail {

inline constexpr size_t kPlainSearchMax = 40;  // symbols; above, the queue is faster
inline constexpr int32_t kMergedAway = -2;     // id at atoms where no symbol starts any more

template <typename MergeOf>
void merge_short(std::vector<Symbol>& symbols, const MergeOf& merge_of) {
  struct Entry {
    int32_t id;
    uint32_t first;  // atom
    uint32_t rank;   // of the merge with the right neighbour
  };
  std::array<Entry, kPlainSearchMax + 1> entries;
  size_t count = symbols.size();
  for (size_t i = 0; i < count; ++i) {
    entries[i] = {symbols[i].id, static_cast<uint32_t>(i), kNoMerge};
  }
  entries[count] = {-1, static_cast<uint32_t>(count), kNoMerge};
  const auto result_at = [&](size_t i) -> MergeResult {
    if (i + 1 >= count) return {};
    return merge_of(entries[i].id, entries[i + 1].id, entries[i].first, entries[i + 2].first);
  };
  for (size_t i = 0; i < count; ++i) entries[i].rank = result_at(i).rank;
  while (true) {
    size_t best = 0;
    for (size_t i = 1; i < count; ++i) {
      if (entries[i].rank < entries[best].rank) best = i;
    }
    if (entries[best].rank == kNoMerge) break;
    entries[best].id = result_at(best).id;
    for (size_t i = best + 1; i < count; ++i) entries[i] = entries[i + 1];
    --count;
    entries[best].rank = result_at(best).rank;
    if (best > 0) entries[best - 1].rank = result_at(best - 1).rank;
  }
  symbols.resize(count);
  for (size_t i = 0; i < count; ++i) {
    symbols[i] = {entries[i].id, entries[i + 1].first - entries[i].first};
  }
}

template <typename MergeOf>
void merge_long(std::vector<Symbol>& symbols, MergeQueue& queue, const MergeOf& merge_of) {
  const size_t count = symbols.size();
  const auto next = [&](size_t i) { return i + symbols[i].span; };
  const auto result_at = [&](size_t i) -> MergeResult {
    const size_t j = next(i);
    if (j >= count) return {};
    return merge_of(symbols[i].id, symbols[j].id, i, next(j));
  };
  const auto queue_merge_at = [&](size_t i) {
    const uint32_t rank = result_at(i).rank;
    if (rank != kNoMerge) queue.push(rank, static_cast<uint32_t>(i));
  };
  queue.start(count);
  for (size_t i = 0; i < count; ++i) queue_merge_at(i);
  uint32_t rank = 0;
  uint32_t at = 0;
  while (queue.pop(rank, at)) {
    Symbol& left = symbols[at];
    if (left.id == kMergedAway) continue;
    const MergeResult result = result_at(at);
    if (result.rank != rank) continue;  // a neighbour changed since this was queued
    Symbol& right = symbols[next(at)];
    left.id = result.id;
    left.span += right.span;
    right.id = kMergedAway;
    symbols[at + left.span - 1].span = left.span;
    queue_merge_at(at);
    if (at > 0) queue_merge_at(at - symbols[at - 1].span);
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

/// Merges `scratch.symbols` (the ids of the atoms, in order, each of span 1) until nothing more can
/// be merged. Afterwards they are the symbols that remain. merge_of(left id, right id, first atom,
/// atom after the last) says what two neighbours become.
template <typename MergeOf>
void merge_symbols(MergeScratch& scratch, const MergeOf& merge_of) {
  if (scratch.symbols.size() <= detail::kPlainSearchMax) {
    detail::merge_short(scratch.symbols, merge_of);
  } else {
    detail::merge_long(scratch.symbols, scratch.queue, merge_of);
  }
}

}  // namespace weir
