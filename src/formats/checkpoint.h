// An opened model file, whatever its format: metadata, tensors by name, the texts beside it. Owns
// the mappings that all of it points into; refuses to know what tensors or keys mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "formats/metadata.h"
#include "formats/name_index.h"
#include "tensor/dtype.h"

namespace weir {

/// One tensor of a file. `dims` are innermost first (the order of GGUF) whatever the format: a
/// linear layer with k inputs and n outputs has dims {k, n}. No dims is one scalar.
struct TensorEntry {
  std::string name;
  DType type = DType::f32;
  std::vector<int64_t> dims;
  /// Exactly the tensor's bytes, inside the mapping. GGUF: aligned to 8 bytes or more. safetensors:
  /// not aligned to anything; see aligned_for().
  std::span<const std::byte> data;

  int64_t elements() const;
  /// True if `data` begins at a multiple of `bytes`.
  bool aligned_for(size_t bytes) const;
};

/// factor × product of dims, every step checked; nothing if a dim is negative or the product of the
/// non-zero dims does not fit 63 bits. `factor` >= 0.
std::optional<uint64_t> checked_product(std::span<const int64_t> dims, int64_t factor);

/// Bytes of a tensor, every product checked; nothing if a dim is negative, the innermost dim is not
/// a multiple of the type's block, or a product does not fit 63 bits.
std::optional<uint64_t> checked_tensor_bytes(DType type, std::span<const int64_t> dims);

class Checkpoint {
 public:
  struct Parts {
    std::string format;                                    // "GGUF v3", "safetensors"
    std::filesystem::path path;                            // as the caller named it
    std::vector<std::shared_ptr<const MappedFile>> files;  // all shards
    Metadata metadata;                                     // GGUF keys, safetensors __metadata__
    std::vector<TensorEntry> tensors;                      // file order
    /// Tensors of types that Weir does not read, with the name of the type (static text). Files
    /// carry such things as boolean masks that no layer needs; a tensor that is needed is refused
    /// by name.
    std::map<std::string, std::string_view, std::less<>> unreadable;
    std::map<std::string, std::string> documents;  // "config.json" → its text
  };

  /// Throws bad_format if two tensors (of any type) have one name.
  explicit Checkpoint(Parts parts);
  Checkpoint(Checkpoint&&) = default;
  Checkpoint& operator=(Checkpoint&&) = default;

  /// Takes everything out again, to build another Checkpoint from.
  Parts take_parts() && { return std::move(parts_); }

  const std::string& format() const { return parts_.format; }
  const std::filesystem::path& path() const { return parts_.path; }
  /// Holding a copy of these keeps every TensorEntry::data valid.
  const std::vector<std::shared_ptr<const MappedFile>>& files() const { return parts_.files; }
  const Metadata& metadata() const { return parts_.metadata; }
  const std::vector<TensorEntry>& tensors() const { return parts_.tensors; }

  const std::map<std::string, std::string_view, std::less<>>& unreadable() const {
    return parts_.unreadable;
  }

  /// Null if there is no such tensor. Throws unsupported if it is there with an unreadable type.
  const TensorEntry* find(std::string_view name) const;
  /// Throws bad_format if there is no such tensor, unsupported as find().
  const TensorEntry& require(std::string_view name) const;

  /// Texts of a Hugging Face directory (config.json, tokenizer.json, …), not interpreted here.
  const std::map<std::string, std::string>& documents() const { return parts_.documents; }
  /// Null if the directory has no such file.
  const std::string* document(const std::string& name) const;

  uint64_t tensor_bytes() const;  // sum over all tensors, without padding
  uint64_t file_bytes() const;    // sum over all shards; tensor_bytes() if not from files
  int64_t parameters() const;     // elements of all tensors

 private:
  Parts parts_;
  NameIndex index_;
};

}  // namespace weir
