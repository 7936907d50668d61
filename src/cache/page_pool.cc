// Memory and reference counts of the page pool.
#include "cache/page_pool.h"

#include <limits>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/error.h"

namespace weir {
namespace {

size_t pool_bytes(const KvLayout& layout, int64_t pages) {
  if (pages < 1 || pages > std::numeric_limits<PagePool::PageId>::max())
    fail(Code::invalid_argument, "KV cache of {} pages, expected 1 to {}", pages,
         std::numeric_limits<PagePool::PageId>::max());
  const auto bytes = checked_mul<int64_t>(static_cast<int64_t>(layout.page_bytes()), pages);
  const int64_t available = machine_info().memory_available_bytes;
  if (!bytes || (available > 0 && *bytes > available))
    fail(Code::limit_exceeded,
         "a KV cache for {} tokens needs {} MiB, {} MiB of memory are available; ask for a shorter "
         "context",
         pages * kernels::kPageTokens, bytes ? *bytes >> 20 : int64_t{-1}, available >> 20);
  return static_cast<size_t>(*bytes);
}

}  // namespace

PagePool::PagePool(const KvLayout& layout, int64_t pages)
    : layout_(layout),
      memory_(pool_bytes(layout, pages)),
      references_(static_cast<size_t>(pages), 0) {
  free_.reserve(references_.size());
  for (int64_t id = pages - 1; id >= 0; --id) free_.push_back(static_cast<PageId>(id));
}

PagePool::PageId PagePool::take() {
  if (free_.empty())
    fail(Code::limit_exceeded, "all {} KV pages ({} tokens) are in use", pages(),
         pages() * kernels::kPageTokens);
  const PageId id = free_.back();
  free_.pop_back();
  references_[static_cast<size_t>(id)] = 1;
  return id;
}

void PagePool::retain(PageId id) {
  int32_t& count = references_[static_cast<size_t>(id)];
  WEIR_CHECK(count >= 1, "page {} is free", id);
  ++count;
}

void PagePool::release(PageId id) {
  int32_t& count = references_[static_cast<size_t>(id)];
  WEIR_CHECK(count >= 1, "page {} is free", id);
  if (--count == 0) free_.push_back(id);
}

}  // namespace weir
