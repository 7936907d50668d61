#include "tensor/tensor.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/checked.h"

namespace weir {

Shape::Shape(std::initializer_list<int64_t> extents) {
  WEIR_CHECK(extents.size() >= 1 && extents.size() <= 4);
  for (const int64_t extent : extents) {
    WEIR_CHECK(extent >= 0);
    extents_[static_cast<size_t>(rank_++)] = extent;
  }
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int axis = 0; axis < rank_; ++axis) {
    const auto next = checked_mul(product, (*this)[axis]);
    WEIR_CHECK(next.has_value(), "shape {} overflows", to_string());
    product = *next;
  }
  return product;
}

std::string Shape::to_string() const {
  std::string text = "{";
  for (int axis = 0; axis < rank_; ++axis)
    text += (axis > 0 ? ", " : "") + std::to_string((*this)[axis]);
  return text + "}";
}

namespace {

/// Asks for huge pages for the whole pages inside; a hint, so a refusal is no error. Streams
/// through large memory are up to a third faster (measured on Zen 4 under a hypervisor).
void advise_huge_pages(std::byte* data, size_t bytes) {
  constexpr size_t kHugePage = size_t{2} << 20;
  if (bytes < 4 * kHugePage) return;
  const auto first = reinterpret_cast<uintptr_t>(data);
  const uintptr_t begin = (first + kHugePage - 1) / kHugePage * kHugePage;
  ::madvise(data + (begin - first), (first + bytes - begin) / kHugePage * kHugePage, MADV_HUGEPAGE);
}

}  // namespace

// calloc leaves large blocks to the system, which hands out zero pages as they are touched: a big
// pool costs nothing until it is used. The block's own address stands before the aligned one.
Buffer::Buffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  constexpr size_t kAlignment = 64, kExtra = kAlignment + sizeof(void*);
  const auto padded = checked_align_up(bytes, kAlignment);
  const auto total = padded ? checked_add(*padded, kExtra) : std::nullopt;
  void* const block = total ? std::calloc(1, *total) : nullptr;
  if (block == nullptr) fail(Code::limit_exceeded, "cannot get {} bytes of memory", bytes);
  const auto first = reinterpret_cast<uintptr_t>(block) + sizeof(void*);
  auto* const data =
      static_cast<std::byte*>(block) +
      ((first + kAlignment - 1) / kAlignment * kAlignment - reinterpret_cast<uintptr_t>(block));
  std::memcpy(data - sizeof(void*), &block, sizeof(void*));
  advise_huge_pages(data, bytes);
  data_.reset(data);
}

void Buffer::Free::operator()(std::byte* p) const {
  void* block;
  std::memcpy(&block, p - sizeof(void*), sizeof(void*));
  std::free(block);
}

}  // namespace weir
