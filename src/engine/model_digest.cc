// Large tensors are cut so that all threads read; the cuts are part of the definition.
#include "engine/model_digest.h"

#include <algorithm>
#include <string>
#include <vector>

#include "formats/metadata.h"

namespace weir {
namespace {

constexpr size_t kPiece = size_t{16} << 20;  // bytes

}  // namespace

Digest model_digest(const Model& model, CpuDevice& device) {
  const Checkpoint& checkpoint = model.checkpoint();
  std::vector<std::span<const std::byte>> pieces;
  std::string text = "weir model 1\n";
  const auto add_bytes = [&](std::span<const std::byte> bytes) {
    for (size_t at = 0; at < bytes.size(); at += kPiece)
      pieces.push_back(bytes.subspan(at, std::min(kPiece, bytes.size() - at)));
  };
  MetadataBuilder metadata;
  for (const auto& entry : checkpoint.metadata().entries()) metadata.add(entry.key, entry.value);
  text += fmt::format("metadata {}\n", metadata.bytes().size());
  add_bytes(std::as_bytes(std::span(metadata.bytes())));
  for (const auto& [name, document] : checkpoint.documents()) {
    text += fmt::format("document {} {} {}\n", name.size(), name, document.size());
    add_bytes(std::as_bytes(std::span(document)));
  }
  for (const TensorEntry& tensor : checkpoint.tensors()) {
    text += fmt::format("tensor {} {} {} {} dims {}\n", tensor.name.size(), tensor.name,
                        info(tensor.type).name, tensor.data.size(), fmt::join(tensor.dims, " "));
    add_bytes(tensor.data);
  }
  std::vector<Checksum> sums(pieces.size());
  device.for_each_row(static_cast<int64_t>(pieces.size()), kPiece, [&](int64_t i, int) {
    sums[static_cast<size_t>(i)] = checksum(pieces[static_cast<size_t>(i)]);
  });
  for (const Checksum& sum : sums) text += fmt::format("{:016x}{:016x}\n", sum.high, sum.low);
  return sha256(text);
}

}  // namespace weir
