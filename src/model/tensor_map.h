// Tensors by their GGUF name, from whatever file, in the layout that the decoder expects. Owns the
// few tensors that had to be copied (transposed, reordered, widened); the rest lie in the mapping.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "formats/checkpoint.h"
#include "model/config.h"
#include "model/families.h"
#include "tensor/tensor.h"

namespace weir {

class TensorMap {
 public:
  /// GGUF names as they are. Hugging Face names are translated (names_hf.cc); `config` tells how
  /// fused tensors are laid out.
  static TensorMap from(const Checkpoint& checkpoint, const DecoderConfig& config);

  /// Null if absent; marks the tensor as used. Throws unsupported if its type cannot be computed
  /// with, bad_format if it has more than four dimensions.
  const Tensor* find(const std::string& name);

  /// Names that nothing asked for.
  std::vector<std::string> unused() const;
  /// Owned memory.
  int64_t copied_bytes() const;

  void add(std::string name, const Tensor& tensor);
  /// Zeroed memory that lives as long as the map.
  std::byte* allocate(size_t bytes);

 private:
  struct Entry {
    Tensor tensor;
    bool used = false;
  };
  std::map<std::string, Entry> entries_;
  std::deque<Buffer> owned_;
};

/// The view of a file's tensor: extents turned round to outermost first.
Tensor view_of(const TensorEntry& entry);

void add_hugging_face(const Checkpoint& checkpoint, const DecoderConfig& config, TensorMap& map);

}  // namespace weir
