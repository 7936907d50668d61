// In a file of its own, so that the replaced operators are not inlined into their callers, where
// compilers take the pair for a mismatch.
#include "unit/decoding/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<size_t> allocations{0};
}  // namespace

size_t weir::test::allocation_count() { return allocations; }

// Sanitizers check that both sides of each pair are replaced, so all that the library uses are.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void* operator new(size_t size) {
  if (void* result = operator new(size, std::nothrow)) return result;
  throw std::bad_alloc();
}
void operator delete(void* pointer) noexcept { std::free(pointer); }
void operator delete(void* pointer, size_t) noexcept { std::free(pointer); }
void operator delete(void* pointer, const std::nothrow_t&) noexcept { std::free(pointer); }
