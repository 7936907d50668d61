// Touches everything a Checkpoint gives out. What a reader accepted must be whole: used by the
// tests and by the fuzz targets (with a sanitizer watching).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "formats/checkpoint.h"

namespace weir::test {

inline uint64_t touch(const Value& value) {
  uint64_t sum = value.count + value.text().size() + value.type_text().size();
  for (const std::byte b : value.bytes) sum += static_cast<uint64_t>(b);
  if (value.type == ValueType::array) {
    if (value.element == ValueType::string)
      for (const std::string_view text : value.strings("key"))
        for (const char c : text) sum += static_cast<uint64_t>(static_cast<unsigned char>(c));
    if (value.element == ValueType::array)
      for (const Value& item : value.elements(value.count)) sum += touch(item);
  }
  return sum;
}

/// Throws Error{internal} on a broken promise. Every tensor must lie inside one of `areas`.
inline uint64_t inspect(const Checkpoint& checkpoint,
                        std::span<const std::span<const std::byte>> areas) {
  uint64_t sum = 0;
  for (const Metadata::Entry& entry : checkpoint.metadata().entries()) {
    sum += touch(entry.value);
    WEIR_CHECK(checkpoint.metadata().find(entry.key) == &entry.value);
  }
  for (const TensorEntry& tensor : checkpoint.tensors()) {
    WEIR_CHECK(checkpoint.find(tensor.name) == &tensor);
    WEIR_CHECK(checked_tensor_bytes(tensor.type, tensor.dims) == tensor.data.size());
    WEIR_CHECK(tensor.elements() >= 0);
    bool inside = tensor.data.empty();
    for (const auto& area : areas)
      inside |= tensor.data.data() >= area.data() &&
                tensor.data.data() + tensor.data.size() <= area.data() + area.size();
    WEIR_CHECK(inside, "tensor {} lies outside the file", tensor.name);
    if (!tensor.data.empty())
      sum += static_cast<uint64_t>(tensor.data.front()) + static_cast<uint64_t>(tensor.data.back());
  }
  for (const auto& [name, type] : checkpoint.unreadable()) {
    Code code = Code::internal;
    try {
      checkpoint.find(name);
    } catch (const Error& error) {
      code = error.code();
    }
    WEIR_CHECK(code == Code::unsupported, "{} of type {} was given out", name, type);
  }
  WEIR_CHECK(checkpoint.parameters() >= 0);
  return sum + checkpoint.tensor_bytes();
}

inline uint64_t inspect(const Checkpoint& checkpoint, std::span<const std::byte> area) {
  return inspect(checkpoint, std::span(&area, 1));
}

}  // namespace weir::test
