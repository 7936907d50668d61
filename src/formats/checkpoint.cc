// Lookup and sums over the tensors of a checkpoint.
#include "formats/checkpoint.h"

#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "formats/quote.h"

namespace weir {

int64_t TensorEntry::elements() const {
  int64_t product = 1;
  for (const int64_t dim : dims) product *= dim;  // checked when the file was read
  return product;
}

bool TensorEntry::aligned_for(size_t bytes) const {
  return reinterpret_cast<uintptr_t>(data.data()) % bytes == 0;
}

std::optional<uint64_t> checked_product(std::span<const int64_t> dims, int64_t factor) {
  // Zero dims are kept out of the product so that {0, 2^40, 2^40} is refused like {1, 2^40, 2^40}.
  int64_t product = factor;
  bool empty = false;
  for (const int64_t dim : dims) {
    if (dim < 0) return std::nullopt;
    if (dim == 0) {
      empty = true;
      continue;
    }
    const auto next = checked_mul(product, dim);
    if (!next) return std::nullopt;
    product = *next;
  }
  return empty ? 0 : static_cast<uint64_t>(product);
}

std::optional<uint64_t> checked_tensor_bytes(DType type, std::span<const int64_t> dims) {
  const DTypeInfo& kind = info(type);
  const int64_t row = dims.empty() ? 1 : dims.front();
  if (row < 0 || row % kind.block_elements != 0) return std::nullopt;
  if (!checked_product(dims, 1)) return std::nullopt;  // the element count must fit as well
  const auto row_bytes = checked_mul(row / kind.block_elements, kind.block_bytes);
  if (!row_bytes) return std::nullopt;
  return checked_product(dims.empty() ? dims : dims.subspan(1), *row_bytes);
}

Checkpoint::Checkpoint(Parts parts) : parts_(std::move(parts)) {
  const auto name_of = [&](size_t i) { return std::string_view(parts_.tensors[i].name); };
  index_ = NameIndex(parts_.tensors.size(), name_of);
  if (const auto twice = index_.duplicate(name_of))
    fail(Code::bad_format, "{}: tensor {} appears twice, as tensors {} and {}",
         parts_.path.string(), quote(name_of(twice->first)), twice->first, twice->second);
  for (const auto& [name, type] : parts_.unreadable)
    if (index_.find(name, name_of))
      fail(Code::bad_format, "{}: tensor {} appears twice, once with type {}", parts_.path.string(),
           quote(name), type);
}

const TensorEntry* Checkpoint::find(std::string_view name) const {
  const auto at =
      index_.find(name, [&](size_t i) { return std::string_view(parts_.tensors[i].name); });
  if (at) return &parts_.tensors[*at];
  if (const auto other = parts_.unreadable.find(name); other != parts_.unreadable.end())
    fail(Code::unsupported,
         "{}: tensor {} has type {}, which Weir does not read; convert the model to F16, BF16 or "
         "F32",
         parts_.path.string(), quote(name), other->second);
  return nullptr;
}

const TensorEntry& Checkpoint::require(std::string_view name) const {
  const TensorEntry* tensor = find(name);
  if (tensor == nullptr)
    fail(Code::bad_format, "{}: tensor {} is missing; the file is incomplete or of another kind",
         parts_.path.string(), quote(name));
  return *tensor;
}

const std::string* Checkpoint::document(const std::string& name) const {
  const auto at = parts_.documents.find(name);
  return at == parts_.documents.end() ? nullptr : &at->second;
}

uint64_t Checkpoint::tensor_bytes() const {
  uint64_t sum = 0;
  for (const TensorEntry& tensor : parts_.tensors) sum += tensor.data.size();
  return sum;
}

uint64_t Checkpoint::file_bytes() const {
  if (parts_.files.empty()) return tensor_bytes();
  uint64_t sum = 0;
  for (const auto& file : parts_.files) sum += file->bytes().size();
  return sum;
}

int64_t Checkpoint::parameters() const {
  int64_t sum = 0;
  for (const TensorEntry& tensor : parts_.tensors) sum += tensor.elements();
  return sum;
}

}  // namespace weir
