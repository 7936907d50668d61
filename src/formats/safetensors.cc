// The safetensors reader and writer: places the tensors that the header describes, joins shards.
#include "formats/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/byte_reader.h"
#include "formats/limits.h"
#include "formats/quote.h"
#include "formats/safetensors_json.h"

namespace weir {
namespace {

struct SafetensorsFile {
  std::vector<TensorEntry> tensors;  // in the order of their data
  std::map<std::string, std::string_view, std::less<>> unreadable;
  MetadataBuilder notes;
};

/// Gives every tensor its span: sorted by offset, the spans must fill `data` exactly.
void place_tensors(std::vector<SafetensorsTensor>& tensors, std::span<const std::byte> data,
                   std::string_view source) {
  // Empty tensors may share a place; the name makes the order definite.
  std::ranges::sort(tensors, {}, [](const SafetensorsTensor& tensor) {
    return std::tuple(tensor.begin, tensor.end, std::string_view(tensor.entry.name));
  });
  uint64_t expected = 0;
  for (SafetensorsTensor& tensor : tensors) {
    const std::string name = quote(tensor.entry.name);
    if (tensor.begin != expected || tensor.end < tensor.begin)
      fail(Code::bad_format,
           "{}: tensor {}: data_offsets [{}, {}], expected to begin at {} (no holes, no overlaps)",
           source, name, tensor.begin, tensor.end, expected);
    const auto bytes = checked_product(tensor.entry.dims, tensor.type->bytes);
    if (!bytes || *bytes != tensor.end - tensor.begin)
      fail(Code::bad_format,
           "{}: tensor {}: data_offsets [{}, {}] span {} bytes, its shape needs {}", source, name,
           tensor.begin, tensor.end, tensor.end - tensor.begin,
           bytes ? fmt::format("{}", *bytes) : "more than 2^63");
    if (tensor.end > data.size())
      fail(Code::bad_format,
           "{}: tensor {}: data_offsets end at {}, but the file holds {} bytes of data; the file "
           "is truncated or damaged",
           source, name, tensor.end, data.size());
    tensor.entry.data = data.subspan(tensor.begin, *bytes);
    expected = tensor.end;
  }
  if (expected != data.size())
    fail(Code::bad_format, "{}: {} bytes after the last tensor, expected none", source,
         data.size() - expected);
}

SafetensorsFile parse(std::span<const std::byte> bytes, std::string_view source) {
  ByteReader reader(bytes, source);
  const auto length = reader.number<uint64_t>("header length");
  if (length > reader.remaining())
    reader.fail_at(Code::bad_format, 0, "header length",
                   "{}, but only {} bytes are left; the file is truncated or not safetensors",
                   length, reader.remaining());
  if (length > limits::kSafetensorsHeaderBytes)
    reader.fail_at(Code::limit_exceeded, 0, "header length", "{}, the limit is {}", length,
                   limits::kSafetensorsHeaderBytes);
  const auto header = reader.take(length, "header");
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  if (text.empty() || text.front() != '{')
    reader.fail_at(Code::bad_format, sizeof(uint64_t), "header", "does not begin with '{{'");
  SafetensorsHeader described = parse_safetensors_header(text, source);
  place_tensors(described.tensors, reader.take(reader.remaining(), "data"), source);
  SafetensorsFile file;
  file.notes = std::move(described.notes);
  file.tensors.reserve(described.tensors.size());
  for (SafetensorsTensor& tensor : described.tensors) {
    if (tensor.type->type) {
      tensor.entry.type = *tensor.type->type;
      file.tensors.push_back(std::move(tensor.entry));
    } else if (!file.unreadable.emplace(tensor.entry.name, tensor.type->name).second) {
      fail(Code::bad_format, "{}: tensor {} appears twice", source, quote(tensor.entry.name));
    }
  }
  return file;
}

Checkpoint::Parts start_parts(const std::filesystem::path& path) {
  Checkpoint::Parts parts;
  parts.format = "safetensors";
  parts.path = path;
  return parts;
}

Checkpoint read_sharded(const std::filesystem::path& index) {
  const std::string source = index.string();
  const std::string text = read_file(index, limits::kSafetensorsHeaderBytes);
  const auto index_files = parse_safetensors_index(text, source);
  std::set<std::string> names;
  for (const auto& [tensor, file] : index_files) names.insert(file);
  if (names.size() > limits::kShards)
    fail(Code::limit_exceeded, "{}: {} files, the limit is {}", source, names.size(),
         limits::kShards);
  Checkpoint::Parts parts = start_parts(index);
  for (const std::string& name : names) {
    const auto mapping = MappedFile::open(index.parent_path() / name);
    SafetensorsFile file = parse(mapping->bytes(), mapping->path().string());
    if (parts.files.empty()) parts.metadata = file.notes.build();
    parts.files.push_back(mapping);
    if (parts.tensors.size() + file.tensors.size() + parts.unreadable.size() +
            file.unreadable.size() >
        limits::kTensors)
      fail(Code::limit_exceeded, "{}: more than {} tensors", source, limits::kTensors);
    const auto check_place = [&](const std::string& tensor) {
      const auto listed = index_files.find(tensor);
      if (listed != index_files.end() && listed->second != name)
        fail(Code::bad_format, "{}: tensor {} stands in {}, but the index places it in {}", source,
             quote(tensor), name, listed->second);
    };
    for (TensorEntry& tensor : file.tensors) {
      check_place(tensor.name);
      parts.tensors.push_back(std::move(tensor));
    }
    for (const auto& [tensor, type] : file.unreadable) {
      check_place(tensor);
      if (!parts.unreadable.emplace(tensor, type).second)
        fail(Code::bad_format, "{}: tensor {} appears twice", source, quote(tensor));
    }
  }
  Checkpoint checkpoint(std::move(parts));
  for (const auto& [tensor, file] : index_files)
    if (!checkpoint.unreadable().contains(tensor) && checkpoint.find(tensor) == nullptr)
      fail(Code::bad_format, "{}: tensor {} is not in {} as the index says", source, quote(tensor),
           file);
  return checkpoint;
}

std::string_view name_of(DType type) {
  const auto it = std::ranges::find(kSafetensorsTypes, std::optional(type), &SafetensorsType::type);
  if (it == kSafetensorsTypes.end())
    fail(Code::invalid_argument, "safetensors cannot hold {} tensors; use F32, F16 or BF16",
         info(type).name);
  return it->name;
}

}  // namespace

Checkpoint read_safetensors(const std::filesystem::path& path) {
  if (path.extension() == ".json") return read_sharded(path);
  const auto mapping = MappedFile::open(path);
  SafetensorsFile file = parse(mapping->bytes(), path.string());
  Checkpoint::Parts parts = start_parts(path);
  parts.files = {mapping};
  parts.metadata = file.notes.build();
  parts.tensors = std::move(file.tensors);
  parts.unreadable = std::move(file.unreadable);
  return Checkpoint(std::move(parts));
}

Checkpoint read_safetensors(std::span<const std::byte> bytes, std::string_view name) {
  SafetensorsFile file = parse(bytes, name);
  Checkpoint::Parts parts = start_parts(name);
  parts.metadata = file.notes.build();
  parts.tensors = std::move(file.tensors);
  parts.unreadable = std::move(file.unreadable);
  return Checkpoint(std::move(parts));
}

void write_safetensors(const std::filesystem::path& path, std::span<const TensorEntry> tensors,
                       const std::map<std::string, std::string>& notes) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& tensor : tensors) order.push_back(&tensor);
  std::ranges::stable_sort(order, std::greater(), [](const TensorEntry* tensor) {
    return info(tensor->type).block_bytes;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!notes.empty()) header["__metadata__"] = notes;
  std::set<std::string_view> names;
  uint64_t offset = 0;
  for (const TensorEntry* tensor : order) {
    if (!names.insert(tensor->name).second || tensor->name == "__metadata__")
      fail(Code::invalid_argument, "tensor name {} is taken", quote(tensor->name));
    const auto bytes = checked_tensor_bytes(tensor->type, tensor->dims);
    if (!bytes || *bytes != tensor->data.size())
      fail(Code::invalid_argument, "tensor {} has {} bytes of data, its shape needs {}",
           quote(tensor->name), tensor->data.size(), bytes.value_or(0));
    header[tensor->name] = {
        {"dtype", name_of(tensor->type)},
        {"shape", std::vector<int64_t>(tensor->dims.rbegin(), tensor->dims.rend())},
        {"data_offsets", {offset, offset + *bytes}}};
    offset += *bytes;
  }
  std::string text = header.dump();
  text.resize(*checked_align_up<size_t>(text.size(), 8), ' ');
  const uint64_t length = text.size();
  FileWriter file(path);
  file.append(std::as_bytes(std::span(&length, 1)));
  file.append(std::as_bytes(std::span(text)));
  for (const TensorEntry* tensor : order) file.append(tensor->data);
  file.commit();
}

}  // namespace weir