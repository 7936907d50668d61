// Page-sized places in RAM outside the pool, for pages that must leave it and may come back. Owns
// the memory and takes it when a place is first used; refuses to know what lies where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tensor/tensor.h"

namespace weir {

class SwapSpace {
 public:
  using Slot = int32_t;

  /// As many places as fit `bytes`; none if a page does not.
  SwapSpace(size_t page_bytes, int64_t bytes);

  int64_t slots() const { return slots_; }
  int64_t used() const { return used_; }

  /// Copies a page to a place of its own. Nothing if all are in use or memory cannot be had.
  std::optional<Slot> store(const std::byte* page);
  void load(Slot slot, std::byte* page) const;
  void release(Slot slot);

 private:
  size_t page_bytes_;
  int64_t slots_;
  int64_t used_ = 0;
  std::vector<Buffer> memory_;  // grows to slots_
  std::vector<Slot> free_;      // of those in memory_
};

}  // namespace weir
