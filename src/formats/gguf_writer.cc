// The GGUF writer: header, metadata, directory, then each tensor padded to the alignment.
#include "formats/gguf_writer.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/checkpoint.h"
#include "formats/gguf_types.h"
#include "formats/limits.h"
#include "formats/name_index.h"
#include "formats/quote.h"

namespace weir {
namespace {

uint64_t padded(uint64_t bytes, uint64_t alignment) {
  const auto result = checked_align_up(bytes, alignment);
  if (!result) fail(Code::limit_exceeded, "the file would be larger than 2^64 bytes");
  return *result;
}

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

GgufWriter::GgufWriter(MetadataBuilder metadata) : metadata_(std::move(metadata)) {
  constexpr std::string_view kKey = "general.alignment";
  const uint32_t alignment = metadata_.build().get_or<uint32_t>(kKey, 32);
  if (!std::has_single_bit(alignment) || alignment < limits::kAlignmentMin ||
      alignment > limits::kAlignmentMax)
    fail(Code::invalid_argument, "{} is {}, expected a power of two from {} to {}", kKey, alignment,
         limits::kAlignmentMin, limits::kAlignmentMax);
  alignment_ = alignment;
}

void GgufWriter::add_tensor(std::string name, DType type, std::vector<int64_t> dims,
                            TensorSource source) {
  if (name.empty() || name.size() > limits::kGgufTensorNameBytes)
    fail(Code::invalid_argument, "tensor name {} has {} bytes, expected 1 to {}", quote(name),
         name.size(), limits::kGgufTensorNameBytes);
  if (dims.empty() || dims.size() > limits::kGgufDims || std::ranges::min(dims) < 1)
    fail(Code::invalid_argument, "tensor {} has dims {{{}}}, expected 1 to {} of at least 1",
         quote(name), fmt::join(dims, ", "), limits::kGgufDims);
  if (tensors_.size() == limits::kTensors)
    fail(Code::limit_exceeded, "more than {} tensors", limits::kTensors);
  const auto bytes = checked_tensor_bytes(type, dims);
  if (!bytes)
    fail(Code::invalid_argument, "tensor {}: dims {{{}}} do not fit type {} (blocks of {})",
         quote(name), fmt::join(dims, ", "), info(type).name, info(type).block_elements);
  tensors_.push_back({std::move(name), type, std::move(dims), *bytes, std::move(source)});
}

void GgufWriter::add_tensor(std::string name, DType type, std::vector<int64_t> dims,
                            std::span<const std::byte> data) {
  add_tensor(std::move(name), type, std::move(dims), [data](const ByteSink& sink) { sink(data); });
}

std::string GgufWriter::header() const {
  std::string out = "GGUF";
  put(out, uint32_t{3});
  put(out, uint64_t{tensors_.size()});
  put(out, metadata_.count());
  out += metadata_.bytes();
  uint64_t offset = 0;
  for (const Item& tensor : tensors_) {
    put(out, uint64_t{tensor.name.size()});
    out += tensor.name;
    put(out, static_cast<uint32_t>(tensor.dims.size()));
    for (const int64_t dim : tensor.dims) put(out, dim);
    put(out, gguf_id_of(tensor.type));
    put(out, offset);
    const auto end = checked_add(offset, padded(tensor.bytes, alignment_));
    if (!end) fail(Code::limit_exceeded, "the file would be larger than 2^64 bytes");
    offset = *end;
  }
  out.resize(padded(out.size(), alignment_), '\0');
  return out;
}

uint64_t GgufWriter::file_bytes() const {
  uint64_t sum = header().size();
  for (const Item& tensor : tensors_) sum += padded(tensor.bytes, alignment_);
  return sum;
}

void GgufWriter::emit(const ByteSink& out) const {
  const auto name_of = [&](size_t i) { return std::string_view(tensors_[i].name); };
  if (const auto twice = NameIndex(tensors_.size(), name_of).duplicate(name_of))
    fail(Code::invalid_argument, "tensor {} was added twice", quote(name_of(twice->first)));
  const std::string head = header();
  out(std::as_bytes(std::span(head)));
  const std::vector<std::byte> zeros(alignment_);
  for (const Item& tensor : tensors_) {
    uint64_t written = 0;
    tensor.source([&](std::span<const std::byte> piece) {
      WEIR_CHECK(piece.size() <= tensor.bytes - written, "tensor {} got more than its {} bytes",
                 quote(tensor.name), tensor.bytes);
      written += piece.size();
      out(piece);
    });
    WEIR_CHECK(written == tensor.bytes, "tensor {} got {} of its {} bytes", quote(tensor.name),
               written, tensor.bytes);
    out(std::span(zeros).first(padded(written, alignment_) - written));
  }
}

void GgufWriter::write(const std::filesystem::path& path) const {
  FileWriter file(path);
  emit([&](std::span<const std::byte> piece) { file.append(piece); });
  file.commit();
}

std::string GgufWriter::to_bytes() const {
  std::string out;
  emit([&](std::span<const std::byte> piece) {
    out.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  return out;
}

}  // namespace weir
