// Writes GGUF v3 that read_gguf() accepts: everything the reader would refuse is refused here
// first. Tensor data is streamed from callbacks, so a model larger than memory can be written. A
// file appears complete or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "formats/metadata.h"
#include "tensor/dtype.h"

namespace weir {

/// Takes the next bytes of a tensor.
using ByteSink = std::function<void(std::span<const std::byte>)>;
/// Gives all bytes of one tensor to the sink, in order, in pieces of any size.
using TensorSource = std::function<void(const ByteSink&)>;

class GgufWriter {
 public:
  /// Alignment is general.alignment of the metadata (u32), 32 if absent.
  explicit GgufWriter(MetadataBuilder metadata);

  /// `dims` innermost first. Throws invalid_argument for a name, shape or type that GGUF or Weir
  /// does not allow.
  void add_tensor(std::string name, DType type, std::vector<int64_t> dims, TensorSource source);
  /// `data` must outlive the writer.
  void add_tensor(std::string name, DType type, std::vector<int64_t> dims,
                  std::span<const std::byte> data);

  /// Bytes of the finished file.
  uint64_t file_bytes() const;

  /// Writes the file (temporary name, then rename). Throws io, invalid_argument (a name twice),
  /// internal (a source gave more or fewer bytes than its tensor has).
  void write(const std::filesystem::path& path) const;
  std::string to_bytes() const;

 private:
  struct Item {
    std::string name;
    DType type;
    std::vector<int64_t> dims;
    uint64_t bytes;
    TensorSource source;
  };
  std::string header() const;
  void emit(const ByteSink& out) const;

  MetadataBuilder metadata_;
  uint64_t alignment_;
  std::vector<Item> tensors_;
};

}  // namespace weir
