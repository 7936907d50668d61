// The page table of one sequence: which pages hold its positions. Owns references to its pages;
// refuses to know tokens or models.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/page_pool.h"

namespace weir {

class Sequence {
 public:
  explicit Sequence(PagePool& pool) : pool_(&pool) {}
  ~Sequence() { truncate(0); }
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  int64_t length() const { return length_; }  // positions that hold keys and values

  /// Makes room for positions up to `length`. Throws limit_exceeded when the pool is empty; the
  /// sequence is then as before.
  void reserve(int64_t length);

  /// The next `count` positions have been written; they must have been reserved.
  void append(int64_t count);

  /// Forgets positions from `length` on and gives back the pages that are then unused.
  void truncate(int64_t length);

  /// The pages, valid until the next call that changes this sequence.
  KvView view() const { return {&pool_->layout(), addresses_}; }

 private:
  void drop_pages(size_t keep);

  PagePool* pool_;
  std::vector<PagePool::PageId> pages_;
  std::vector<std::byte*> addresses_;
  int64_t length_ = 0;
};

}  // namespace weir
