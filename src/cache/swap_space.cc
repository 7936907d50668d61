// Places are handed out last in, first out, so that memory is touched only as far as needed. The
// list of free ones has room for all before they are handed out: release() needs no memory.
#include "cache/swap_space.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "base/error.h"

namespace weir {

SwapSpace::SwapSpace(size_t page_bytes, int64_t bytes)
    : page_bytes_(page_bytes),
      slots_(std::min<int64_t>(std::max<int64_t>(bytes, 0) / static_cast<int64_t>(page_bytes),
                               std::numeric_limits<Slot>::max())) {}

std::optional<SwapSpace::Slot> SwapSpace::store(const std::byte* page) {
  if (free_.empty()) {
    if (static_cast<int64_t>(memory_.size()) >= slots_) return std::nullopt;
    try {
      if (free_.capacity() <= memory_.size()) free_.reserve(64 + 2 * memory_.size());
      memory_.emplace_back(page_bytes_);
    } catch (const Error&) {
      return std::nullopt;  // swapping is a help, never a need
    } catch (const std::bad_alloc&) {
      return std::nullopt;
    }
    free_.push_back(static_cast<Slot>(memory_.size() - 1));
  }
  const Slot slot = free_.back();
  free_.pop_back();
  ++used_;
  std::memcpy(memory_[static_cast<size_t>(slot)].data(), page, page_bytes_);
  return slot;
}

void SwapSpace::load(Slot slot, std::byte* page) const {
  std::memcpy(page, memory_[static_cast<size_t>(slot)].data(), page_bytes_);
}

void SwapSpace::release(Slot slot) {
  WEIR_CHECK(used_ > 0 && slot >= 0 && static_cast<size_t>(slot) < memory_.size());
  free_.push_back(slot);
  --used_;
}

}  // namespace weir
