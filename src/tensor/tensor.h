// Views of typed memory with a shape (Tensor) and owners of memory (Buffer). No arithmetic.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "base/error.h"
#include "tensor/dtype.h"

namespace weir {

/// Up to four extents, outermost first: a weight of a linear layer is {rows (outputs), k (inputs)}.
/// GGUF lists extents innermost first; formats/ keeps the file's order, model/ turns it round here.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> extents);
  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return extents_[static_cast<size_t>(axis)]; }
  int64_t elements() const;
  bool operator==(const Shape&) const = default;
  std::string to_string() const;  // "{2048, 5632}"

 private:
  std::array<int64_t, 4> extents_{1, 1, 1, 1};
  int rank_ = 0;
};

/// Aligned (64 bytes), zero-filled memory that frees itself. Move only.
class Buffer {
 public:
  Buffer() = default;
  /// Throws limit_exceeded with the size when memory cannot be had.
  explicit Buffer(size_t bytes);
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
};

/// A read-only, row-major view: `data` holds shape.elements() values of `type`, rows contiguous.
/// Does not own; whoever made it keeps the memory (a Checkpoint's mapping, a Buffer) alive.
struct Tensor {
  const std::byte* data = nullptr;
  DType type = DType::f32;
  Shape shape;

  bool empty() const { return data == nullptr; }
  int64_t rows() const { return shape.rank() >= 2 ? shape.elements() / columns() : 1; }
  int64_t columns() const { return shape[shape.rank() - 1]; }  // innermost extent
  size_t row_bytes() const { return static_cast<size_t>(bytes_of(type, columns())); }
  const std::byte* row(int64_t r) const { return data + static_cast<size_t>(r) * row_bytes(); }
  const float* f32() const {
    WEIR_CHECK(type == DType::f32);
    return reinterpret_cast<const float*>(data);
  }
};

}  // namespace weir
