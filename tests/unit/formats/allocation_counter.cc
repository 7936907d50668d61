// A counting operator new and delete. In a file of its own: inlined next to other code, the pair
// malloc/delete makes g++ warn.
#include "unit/formats/allocation_counter.h"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace {

thread_local size_t live = 0;
thread_local size_t peak = 0;

}  // namespace

namespace weir::test {

size_t live_bytes() { return live; }
size_t peak_bytes() { return peak; }
void reset_peak() { peak = live; }

}  // namespace weir::test

// std::stable_sort takes its buffer from this form.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) return nullptr;
  live += ::malloc_usable_size(memory);
  if (live > peak) peak = live;
  return memory;
}

void* operator new(size_t size) {
  void* memory = operator new(size, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept {
  if (memory != nullptr) live -= ::malloc_usable_size(memory);
  std::free(memory);
}

void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { operator delete(memory); }
