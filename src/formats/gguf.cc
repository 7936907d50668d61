// The GGUF reader. Order of work: validate a number, then use it; nothing is allocated before the
// count it depends on has been compared with the bytes that are left.
#include "formats/gguf.h"

#include <bit>
#include <optional>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "formats/byte_reader.h"
#include "formats/gguf_types.h"
#include "formats/limits.h"
#include "formats/quote.h"

namespace weir {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF" read as little-endian
constexpr uint32_t kDefaultAlignment = 32;

struct GgufFile {
  uint32_t version = 0;
  Metadata metadata;
  std::vector<TensorEntry> tensors;
};

uint32_t read_version(ByteReader& reader) {
  const uint64_t start = reader.offset();
  if (const auto magic = reader.number<uint32_t>("magic"); magic != kMagic)
    reader.fail_at(Code::bad_format, start, "magic", "{:#010x}, expected \"GGUF\"", magic);
  const auto version = reader.number<uint32_t>("version");
  if (version == 2 || version == 3) return version;
  const uint32_t swapped = __builtin_bswap32(version);
  if (swapped >= 1 && swapped <= 3)
    reader.fail_at(Code::unsupported, start + 4, "version",
                   "this is a big-endian GGUF (v{}), expected little-endian; convert it first",
                   swapped);
  if (version == 1)
    reader.fail_at(Code::unsupported, start + 4, "version",
                   "GGUF v1 is obsolete, expected v2 or v3; convert the model again");
  reader.fail_at(version == 0 || version > 99 ? Code::bad_format : Code::unsupported, start + 4,
                 "version", "{}, expected 2 or 3", version);
}

uint64_t read_tensor_count(ByteReader& reader) {
  // name length, one character, dimension count, one dimension, type, offset
  constexpr uint64_t kLeastEntry = 8 + 1 + 4 + 8 + 4 + 8;
  const uint64_t at = reader.offset();
  const auto count = reader.number<uint64_t>("tensor count");
  if (count > reader.remaining() / kLeastEntry)
    reader.fail_at(Code::bad_format, at, "tensor count",
                   "{} tensors announced, but only {} bytes are left", count, reader.remaining());
  if (count > limits::kTensors)
    reader.fail_at(Code::limit_exceeded, at, "tensor count", "{} tensors, the limit is {}", count,
                   limits::kTensors);
  return count;
}

uint32_t read_alignment(const Metadata& metadata, const ByteReader& reader) {
  constexpr std::string_view kKey = "general.alignment";
  const Value* value = metadata.find(kKey);
  if (value == nullptr) return kDefaultAlignment;
  const uint64_t at = reader.offset_of(value->bytes);
  if (value->type != ValueType::u32)
    reader.fail_at(Code::bad_format, at, kKey, "{}, expected u32", value->type_text());
  const auto alignment = value->as<uint32_t>(kKey);
  if (!std::has_single_bit(alignment) || alignment < limits::kAlignmentMin ||
      alignment > limits::kAlignmentMax)
    reader.fail_at(Code::bad_format, at, kKey, "{}, expected a power of two from {} to {}",
                   alignment, limits::kAlignmentMin, limits::kAlignmentMax);
  return alignment;
}

std::string_view read_tensor_name(ByteReader& reader) {
  const uint64_t at = reader.offset();
  const std::string_view name = reader.string("name", limits::kGgufTensorNameBytes);
  if (name.empty()) reader.fail_at(Code::bad_format, at, "name", "empty, expected a tensor name");
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      reader.fail_at(Code::bad_format, at, "name", "{} holds a control character", quote(name));
  return name;
}

std::vector<int64_t> read_dims(ByteReader& reader) {
  uint64_t at = reader.offset();
  const auto rank = reader.number<uint32_t>("dimension count");
  if (rank < 1 || rank > limits::kGgufDims)
    reader.fail_at(Code::bad_format, at, "dimension count", "{}, expected 1 to {}", rank,
                   limits::kGgufDims);
  std::vector<int64_t> dims;
  dims.reserve(rank);
  for (uint32_t i = 0; i < rank; ++i) {
    at = reader.offset();
    const auto raw = reader.number<uint64_t>("dimension");
    const auto dim = checked_cast<int64_t>(raw);
    if (!dim || *dim < 1)
      reader.fail_at(Code::bad_format, at, fmt::format("dimension {}", i),
                     "{}, expected 1 to 2^63-1", raw);
    dims.push_back(*dim);
  }
  return dims;
}

DType read_tensor_type(ByteReader& reader, std::string_view name) {
  const uint64_t at = reader.offset();
  const auto id = reader.number<uint32_t>("type");
  if (const auto type = dtype_of_gguf(id)) return *type;
  const std::string_view known = gguf_type_name(id);
  if (known.empty())
    reader.fail_at(Code::bad_format, at, "type", "tensor {}: {} is not a known type id",
                   quote(name), id);
  reader.fail_at(Code::unsupported, at, "type",
                 "tensor {} has type {}, which Weir does not read; use another quantisation of "
                 "this model",
                 quote(name), known);
}

/// Directory entry of one tensor before its place in the file is known.
struct Slot {
  uint64_t entry_at;   // where the entry begins
  uint64_t offset_at;  // where its offset field stands
  uint64_t offset;     // relative to the data section
  uint64_t bytes;      // size of the data
};

Slot read_slot(ByteReader& reader, TensorEntry& tensor) {
  Slot slot{};
  slot.entry_at = reader.offset();
  tensor.name = read_tensor_name(reader);
  const uint64_t dims_at = reader.offset();
  tensor.dims = read_dims(reader);
  tensor.type = read_tensor_type(reader, tensor.name);
  const DTypeInfo& kind = info(tensor.type);
  if (tensor.dims.front() % kind.block_elements != 0)
    reader.fail_at(Code::bad_format, dims_at + 4, "dimension 0",
                   "tensor {}: {} is not a multiple of the {} elements in a {} block",
                   quote(tensor.name), tensor.dims.front(), kind.block_elements, kind.name);
  const auto bytes = checked_tensor_bytes(tensor.type, tensor.dims);
  if (!bytes)
    reader.fail_at(Code::bad_format, dims_at, "dimensions",
                   "tensor {}: the product of {} overflows", quote(tensor.name),
                   fmt::format("{}", fmt::join(tensor.dims, " × ")));
  slot.bytes = *bytes;
  slot.offset_at = reader.offset();
  slot.offset = reader.number<uint64_t>("data offset");
  return slot;
}

void check_names_differ(const ByteReader& reader, const std::vector<TensorEntry>& tensors,
                        const std::vector<Slot>& slots) {
  const auto name_of = [&](size_t i) { return std::string_view(tensors[i].name); };
  const auto twice = NameIndex(tensors.size(), name_of).duplicate(name_of);
  if (twice)
    reader.fail_at(Code::bad_format, slots[twice->second].entry_at, "tensor name",
                   "{} appears twice, the first time at byte {}", quote(name_of(twice->first)),
                   slots[twice->first].entry_at);
}

/// Gives every tensor its span. The data must be one sequence in directory order, each tensor at
/// the padded end of the one before: no overlap, no hole, no other order. Bytes after the last
/// tensor are allowed.
void place_tensors(ByteReader& reader, std::span<const std::byte> bytes, uint64_t alignment,
                   std::vector<TensorEntry>& tensors, const std::vector<Slot>& slots) {
  if (tensors.empty()) return;
  const auto base = checked_align_up<uint64_t>(reader.offset(), alignment);
  if (!base || *base > bytes.size())
    reader.fail_at(Code::bad_format, reader.offset(), "tensor data",
                   "begins beyond the end of the file ({} bytes); the file is truncated",
                   bytes.size());
  const uint64_t available = bytes.size() - *base;
  std::optional<uint64_t> expected = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Slot& slot = slots[i];
    reader.enter("tensor", i);
    if (slot.offset % alignment != 0)
      reader.fail_at(Code::bad_format, slot.offset_at, "data offset",
                     "tensor {}: {} is not a multiple of the alignment {}", quote(tensors[i].name),
                     slot.offset, alignment);
    if (!expected || slot.offset != *expected)
      reader.fail_at(Code::bad_format, slot.offset_at, "data offset",
                     "tensor {}: {}, expected {} (the padded end of the tensor before it)",
                     quote(tensors[i].name), slot.offset,
                     expected ? fmt::format("{}", *expected) : "no further tensor");
    if (slot.offset > available || slot.bytes > available - slot.offset)
      reader.fail_at(Code::bad_format, slot.offset_at, "data offset",
                     "tensor {} needs {} bytes from byte {}, but the file ends at byte {}; the "
                     "file is truncated or damaged",
                     quote(tensors[i].name), slot.bytes, *base + slot.offset, bytes.size());
    tensors[i].data = bytes.subspan(*base + slot.offset, slot.bytes);
    expected = checked_align_up<uint64_t>(slot.offset + slot.bytes, alignment);
  }
  reader.leave();
}

GgufFile parse(std::span<const std::byte> bytes, std::string_view source,
               std::shared_ptr<const void> owner) {
  ByteReader reader(bytes, source);
  GgufFile file;
  file.version = read_version(reader);
  const uint64_t tensor_count = read_tensor_count(reader);
  const auto metadata_count = reader.number<uint64_t>("metadata count");
  file.metadata = Metadata::parse(reader, metadata_count, std::move(owner));
  const uint32_t alignment = read_alignment(file.metadata, reader);
  file.tensors.reserve(tensor_count);
  std::vector<Slot> slots;
  slots.reserve(tensor_count);
  for (uint64_t i = 0; i < tensor_count; ++i) {
    reader.enter("tensor", i);
    slots.push_back(read_slot(reader, file.tensors.emplace_back()));
  }
  reader.leave();
  check_names_differ(reader, file.tensors, slots);
  place_tensors(reader, bytes, alignment, file.tensors, slots);
  return file;
}

/// "dir/name" and the numbers of "dir/name-00002-of-00003.gguf".
struct ShardName {
  std::string prefix;
  uint64_t number = 0;
  uint64_t count = 0;

  std::string file(uint64_t wanted) const {
    return fmt::format("{}-{:05}-of-{:05}.gguf", prefix, wanted, count);
  }
};

std::optional<ShardName> parse_shard_name(const std::string& path) {
  constexpr size_t kTail = sizeof("-00000-of-00000.gguf") - 1;
  if (path.size() <= kTail) return std::nullopt;
  ShardName name;
  name.prefix = path.substr(0, path.size() - kTail);
  const auto digits = [&](size_t at) {
    uint64_t value = 0;
    for (const char c : path.substr(name.prefix.size() + at, 5)) {
      if (c < '0' || c > '9') return uint64_t{0};
      value = value * 10 + static_cast<uint64_t>(c - '0');
    }
    return value;
  };
  name.number = digits(1);
  name.count = digits(10);
  if (name.number < 1 || name.number > name.count || path != name.file(name.number))
    return std::nullopt;
  return name;
}

/// Checks one file of a split model against its name.
void check_shard(const Metadata& metadata, const std::string& path, const ShardName& name) {
  const auto number = metadata.require<uint64_t>("split.no");
  const auto count = metadata.require<uint64_t>("split.count");
  if (count != name.count || number + 1 != name.number)
    fail(Code::bad_format, "{}: is part {} of {} by its metadata, but part {} of {} by its name",
         path, number + 1, count, name.number, name.count);
}

Checkpoint read_split(const std::string& path, const ShardName& name) {
  if (name.count > limits::kShards)
    fail(Code::limit_exceeded, "{}: split into {} files, the limit is {}", path, name.count,
         limits::kShards);
  Checkpoint::Parts parts;
  parts.path = path;
  std::optional<uint64_t> announced;
  for (uint64_t number = 1; number <= name.count; ++number) {
    const std::string shard = name.file(number);
    const auto mapping = MappedFile::open(shard);
    GgufFile file = parse(mapping->bytes(), shard, mapping);
    check_shard(file.metadata, shard, ShardName{name.prefix, number, name.count});
    parts.files.push_back(mapping);
    if (number == 1) {
      parts.format = fmt::format("GGUF v{}", file.version);
      announced = file.metadata.get<uint64_t>("split.tensors.count");
      parts.metadata = std::move(file.metadata);
    }
    if (parts.tensors.size() + file.tensors.size() > limits::kTensors)
      fail(Code::limit_exceeded, "{}: more than {} tensors in all parts", path, limits::kTensors);
    for (TensorEntry& tensor : file.tensors) parts.tensors.push_back(std::move(tensor));
  }
  if (announced && *announced != parts.tensors.size())
    fail(Code::bad_format, "{}: split.tensors.count is {}, but the {} parts hold {} tensors", path,
         *announced, name.count, parts.tensors.size());
  return Checkpoint(std::move(parts));
}

Checkpoint single(GgufFile file, std::filesystem::path path,
                  std::vector<std::shared_ptr<const MappedFile>> files) {
  Checkpoint::Parts parts;
  parts.format = fmt::format("GGUF v{}", file.version);
  parts.path = std::move(path);
  parts.files = std::move(files);
  parts.metadata = std::move(file.metadata);
  parts.tensors = std::move(file.tensors);
  return Checkpoint(std::move(parts));
}

}  // namespace

Checkpoint read_gguf(const std::filesystem::path& path) {
  return read_gguf(MappedFile::open(path));
}

Checkpoint read_gguf(std::shared_ptr<const MappedFile> mapping) {
  const std::string path = mapping->path().string();
  GgufFile file = parse(mapping->bytes(), path, mapping);
  if (file.metadata.get_or<uint64_t>("split.count", 0) > 1) {
    const auto name = parse_shard_name(path);
    if (!name)
      fail(Code::bad_format,
           "{}: is one part of a split model, but is not named like NAME-00001-of-00003.gguf; "
           "give the parts their names back",
           path);
    return read_split(path, *name);
  }
  return single(std::move(file), path, {std::move(mapping)});
}

Checkpoint read_gguf(std::span<const std::byte> bytes, std::string_view name) {
  return single(parse(bytes, name, nullptr), std::filesystem::path(name), {});
}

}  // namespace weir
