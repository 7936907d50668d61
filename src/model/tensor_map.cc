// Names to tensors, and the copies of those that kernels could not read in place.
#include "model/tensor_map.h"

#include <cstring>

#include "base/error.h"
#include "formats/quote.h"
#include "model/read_config.h"

namespace weir {

Tensor view_of(const TensorEntry& entry) {
  if (entry.dims.size() > 4)
    fail(Code::bad_format, "tensor {} has {} dimensions, at most 4 expected", quote(entry.name),
         entry.dims.size());
  const auto dim = [&](size_t from_outside) {
    return entry.dims[entry.dims.size() - 1 - from_outside];
  };
  Tensor tensor{entry.data.data(), entry.type, Shape{1}};
  switch (entry.dims.size()) {
    case 1:
      tensor.shape = Shape{dim(0)};
      break;
    case 2:
      tensor.shape = Shape{dim(0), dim(1)};
      break;
    case 3:
      tensor.shape = Shape{dim(0), dim(1), dim(2)};
      break;
    case 4:
      tensor.shape = Shape{dim(0), dim(1), dim(2), dim(3)};
      break;
    default:
      break;
  }
  return tensor;
}

TensorMap TensorMap::from(const Checkpoint& checkpoint, const DecoderConfig& config) {
  TensorMap map;
  if (is_hugging_face(checkpoint)) {
    add_hugging_face(checkpoint, config, map);
    return map;
  }
  for (const TensorEntry& entry : checkpoint.tensors())
    if (entry.dims.size() <= 4 && !entry.data.empty()) map.add(entry.name, view_of(entry));
  return map;
}

const Tensor* TensorMap::find(const std::string& name) {
  const auto it = entries_.find(name);
  if (it == entries_.end()) return nullptr;
  Entry& entry = it->second;
  Tensor& tensor = entry.tensor;
  if (info(tensor.type).kind == DTypeClass::other)
    fail(Code::unsupported, "tensor {} has type {}, which Weir cannot compute with", quote(name),
         info(tensor.type).name);
  entry.used = true;
  // safetensors aligns nothing; kernels read floats of their own size.
  const size_t element = tensor.type == DType::f32                    ? 4
                         : info(tensor.type).kind == DTypeClass::real ? 2
                                                                      : 1;
  if (reinterpret_cast<uintptr_t>(tensor.data) % element != 0) {
    const auto bytes = static_cast<size_t>(bytes_of(tensor.type, tensor.shape.elements()));
    std::byte* const copy = allocate(bytes);
    std::memcpy(copy, tensor.data, bytes);
    tensor.data = copy;
  }
  return &tensor;
}

std::vector<std::string> TensorMap::unused() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_)
    if (!entry.used) names.push_back(name);
  return names;
}

int64_t TensorMap::copied_bytes() const {
  int64_t bytes = 0;
  for (const Buffer& buffer : owned_) bytes += static_cast<int64_t>(buffer.size());
  return bytes;
}

void TensorMap::add(std::string name, const Tensor& tensor) {
  const auto [it, fresh] = entries_.emplace(std::move(name), Entry{tensor});
  if (!fresh) fail(Code::bad_format, "two tensors mean {}", quote(it->first));
}

std::byte* TensorMap::allocate(size_t bytes) { return owned_.emplace_back(bytes).data(); }

}  // namespace weir
