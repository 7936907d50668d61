// The pool of KV pages: fixed pages of 16 tokens (all layers, all KV heads) in one Buffer,
// reference-counted, with a free list. Refuses attention arithmetic and knows no sequences.
#pragma once

#include <cstdint>
#include <vector>

#include "device/kv_view.h"
#include "tensor/tensor.h"

namespace weir {

class PagePool {
 public:
  using PageId = int32_t;

  /// Throws limit_exceeded with both sizes if the pages do not fit the memory that is available.
  PagePool(const KvLayout& layout, int64_t pages);

  const KvLayout& layout() const { return layout_; }
  int64_t pages() const { return static_cast<int64_t>(references_.size()); }
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }

  /// A page with one reference; its content is whatever the last owner left. Throws limit_exceeded
  /// when the pool is empty.
  PageId take();
  void retain(PageId id);
  void release(PageId id);  // the last release makes the page free
  int32_t references(PageId id) const { return references_[static_cast<size_t>(id)]; }

  std::byte* address(PageId id) {
    return memory_.data() + static_cast<size_t>(id) * layout_.page_bytes();
  }

 private:
  KvLayout layout_;
  Buffer memory_;
  std::vector<int32_t> references_;  // one a page; 0: free
  std::vector<PageId> free_;         // taken from the back, lowest id first at the start
};

}  // namespace weir
