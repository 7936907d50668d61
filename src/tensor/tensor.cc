#include "tensor/tensor.h"

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

Buffer::Buffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  const auto padded = checked_align_up<size_t>(bytes, 64);
  void* memory = padded ? std::aligned_alloc(64, *padded) : nullptr;
  if (memory == nullptr) fail(Code::limit_exceeded, "cannot get {} bytes of memory", bytes);
  std::memset(memory, 0, *padded);
  data_.reset(static_cast<std::byte*>(memory));
}

void Buffer::Free::operator()(std::byte* p) const { std::free(p); }

}  // namespace weir
