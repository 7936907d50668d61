// The queue of merges: buckets by rank, and a small heap for what arrives late.
#include "text/symbol_merger.h"

#include <algorithm>
#include <utility>

namespace weir {

void MergeQueue::start(size_t count) {
  buckets_.clear();
  ranks_ = {};
  late_ = {};
  active_.clear();
  cursor_ = 0;
  active_rank_ = -1;
  last_rank_ = kNoMerge;
  last_bucket_ = nullptr;
  first_bucket_size_ = count;
}

void MergeQueue::push(uint32_t rank, uint32_t position) {
  if (static_cast<int64_t>(rank) <= active_rank_) {
    late_.emplace(rank, position);
    return;
  }
  if (rank != last_rank_ || last_bucket_ == nullptr) {
    const auto [bucket, created] = buckets_.try_emplace(rank);
    if (created) ranks_.push(rank);
    // In a run of one letter, nearly all pairs have the rank of the first: room for them at once,
    // as growing a vector of that size step by step costs more than filling it.
    bucket->second.reserve(std::exchange(first_bucket_size_, 0));
    last_rank_ = rank;
    last_bucket_ = &bucket->second;  // references into an unordered_map stay valid
  }
  last_bucket_->push_back(position);
}

bool MergeQueue::activate_next() {
  if (ranks_.empty()) return false;
  const uint32_t rank = ranks_.top();
  ranks_.pop();
  const auto bucket = buckets_.find(rank);
  active_ = std::move(bucket->second);
  buckets_.erase(bucket);
  last_bucket_ = nullptr;
  if (!std::is_sorted(active_.begin(), active_.end())) std::sort(active_.begin(), active_.end());
  cursor_ = 0;
  active_rank_ = rank;
  return true;
}

bool MergeQueue::pop(uint32_t& rank, uint32_t& position) {
  if (late_.empty() && cursor_ == active_.size() && !activate_next()) return false;
  const bool from_active =
      cursor_ < active_.size() &&
      (late_.empty() || Late(static_cast<uint32_t>(active_rank_), active_[cursor_]) <= late_.top());
  if (from_active) {
    rank = static_cast<uint32_t>(active_rank_);
    position = active_[cursor_++];
  } else {
    rank = late_.top().first;
    position = late_.top().second;
    late_.pop();
  }
  return true;
}

}  // namespace weir
