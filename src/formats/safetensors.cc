// The safetensors reader and writer. The JSON header is read by events (no document tree), after
// json_guard bounded its depth and tokens.
#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "formats/byte_reader.h"
#include "formats/json_guard.h"
#include "formats/limits.h"
#include "formats/quote.h"

namespace weir {
namespace {

struct SafetensorsType {
  std::string_view name;
  std::optional<DType> type;
  int64_t bytes;  // of one element
};
constexpr std::array kTypes = {
    SafetensorsType{"F64", DType::f64, 8},       SafetensorsType{"F32", DType::f32, 4},
    SafetensorsType{"F16", DType::f16, 2},       SafetensorsType{"BF16", DType::bf16, 2},
    SafetensorsType{"I64", DType::i64, 8},       SafetensorsType{"I32", DType::i32, 4},
    SafetensorsType{"I16", DType::i16, 2},       SafetensorsType{"I8", DType::i8, 1},
    SafetensorsType{"U64", std::nullopt, 8},     SafetensorsType{"U32", std::nullopt, 4},
    SafetensorsType{"U16", std::nullopt, 2},     SafetensorsType{"U8", std::nullopt, 1},
    SafetensorsType{"BOOL", std::nullopt, 1},    SafetensorsType{"F8_E4M3", std::nullopt, 1},
    SafetensorsType{"F8_E5M2", std::nullopt, 1}, SafetensorsType{"F8_E8M0", std::nullopt, 1},
    SafetensorsType{"C64", std::nullopt, 8},
};

/// One tensor as the header describes it.
struct Described {
  TensorEntry entry;
  const SafetensorsType* type = nullptr;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// Receives the JSON events of a header or an index. Subclasses say what each place may hold;
/// whatever is not expected is refused here.
class Events : public nlohmann::json_sax<nlohmann::json> {
 public:
  Events(std::string_view source, uint64_t base) : source_(source), base_(base) {}

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool number_float(number_float_t, const string_t&) override { unexpected("a fraction"); }
  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(Code::bad_format, "{}: JSON at byte {}: not valid JSON", source_, base_ + position);
  }

 protected:
  /// What is being read, for messages.
  virtual std::string place() const = 0;

  [[noreturn]] void unexpected(std::string_view found) const {
    fail(Code::bad_format, "{}: {}: unexpected {}", source_, place(), found);
  }
  template <typename... Args>
  [[noreturn]] void refuse(Code code, fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(code, fmt::format("{}: {}: {}", source_, place(),
                                  fmt::format(format, std::forward<Args>(args)...)));
  }
  const std::string_view source_;

 private:
  uint64_t base_;
};

/// {"__metadata__": {text: text}, NAME: {"dtype": …, "shape": […], "data_offsets": [b, e]}}
class HeaderEvents final : public Events {
 public:
  explicit HeaderEvents(std::string_view source) : Events(source, sizeof(uint64_t)) {}

  std::vector<Described> tensors;
  MetadataBuilder notes;

  bool start_object(size_t) override {
    switch (at_) {
      case At::start:
        at_ = At::names;
        return true;
      case At::name_seen:
        if (name_ == "__metadata__") {
          if (std::exchange(has_notes_, true)) refuse(Code::bad_format, "appears twice");
          at_ = At::notes;
          return true;
        }
        if (tensors.size() == limits::kTensors)
          refuse(Code::limit_exceeded, "more than {} tensors", limits::kTensors);
        tensors.emplace_back().entry.name = name_;
        seen_ = {};
        at_ = At::entry;
        return true;
      default:
        unexpected("an object");
    }
  }

  bool key(string_t& text) override {
    switch (at_) {
      case At::names:
        if (text.empty() || text.size() > limits::kSafetensorsNameBytes)
          refuse(Code::bad_format, "tensor name {} has {} bytes, expected 1 to {}", quote(text),
                 text.size(), limits::kSafetensorsNameBytes);
        name_ = text;
        at_ = At::name_seen;
        return true;
      case At::notes:
        note_ = text;
        at_ = At::note_value;
        return true;
      case At::entry:
        return field(text);
      default:
        unexpected("a key");
    }
  }

  bool string(string_t& text) override {
    if (at_ == At::note_value) {
      if (notes.count() == limits::kMetadataEntries)
        refuse(Code::limit_exceeded, "more than {} entries", limits::kMetadataEntries);
      notes.add(note_, text);
      at_ = At::notes;
      return true;
    }
    if (at_ != At::dtype) unexpected("a string");
    const auto it = std::ranges::find(kTypes, text, &SafetensorsType::name);
    if (it == kTypes.end()) refuse(Code::bad_format, "dtype {} is not known to Weir", quote(text));
    tensors.back().type = &*it;
    at_ = At::entry;
    return true;
  }

  bool start_array(size_t) override {
    if (at_ == At::shape) {
      at_ = At::extents;
    } else if (at_ == At::offsets) {
      at_ = At::bounds;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t number) override {
    if (at_ != At::extents && at_ != At::bounds) unexpected("a number");
    Described& tensor = tensors.back();
    if (at_ == At::extents) {
      const auto extent = checked_cast<int64_t>(number);
      if (!extent) refuse(Code::bad_format, "extent {} does not fit 63 bits", number);
      if (tensor.entry.dims.size() == limits::kSafetensorsDims)
        refuse(Code::limit_exceeded, "more than {} dimensions", limits::kSafetensorsDims);
      tensor.entry.dims.push_back(*extent);
    } else {
      if (bounds_ == 2) refuse(Code::bad_format, "data_offsets has more than 2 numbers");
      (bounds_++ == 0 ? tensor.begin : tensor.end) = number;
    }
    return true;
  }

  bool end_array() override {
    if (at_ == At::bounds && bounds_ != 2)
      refuse(Code::bad_format, "data_offsets has {} numbers, expected 2", bounds_);
    // The file lists extents outermost first.
    if (at_ == At::extents) std::ranges::reverse(tensors.back().entry.dims);
    at_ = At::entry;
    return true;
  }

  bool end_object() override {
    if (at_ == At::names) {
      at_ = At::done;
      return true;
    }
    if (at_ == At::entry && !(seen_.dtype && seen_.shape && seen_.offsets))
      refuse(Code::bad_format, "lacks {}",
             !seen_.dtype   ? "dtype"
             : !seen_.shape ? "shape"
                            : "data_offsets");
    at_ = At::names;
    return true;
  }

 protected:
  std::string place() const override {
    if (at_ == At::start || at_ == At::names || at_ == At::done) return "safetensors header";
    if (name_ == "__metadata__") return "__metadata__";
    return "tensor " + quote(name_);
  }

 private:
  enum class At {
    start,
    names,      // between tensors
    name_seen,  // before a tensor's object
    notes,      // inside __metadata__
    note_value,
    entry,  // inside a tensor's object
    dtype,
    shape,
    extents,
    offsets,
    bounds,
    done,
  };

  bool field(const std::string& text) {
    const auto once = [&](bool& seen, At next) {
      if (std::exchange(seen, true)) refuse(Code::bad_format, "{} appears twice", text);
      at_ = next;
      return true;
    };
    if (text == "dtype") return once(seen_.dtype, At::dtype);
    if (text == "shape") return once(seen_.shape, At::shape);
    bounds_ = 0;
    if (text == "data_offsets") return once(seen_.offsets, At::offsets);
    refuse(Code::bad_format, "unknown field {}, expected dtype, shape and data_offsets",
           quote(text));
  }

  At at_ = At::start;
  std::string name_;
  std::string note_;
  bool has_notes_ = false;
  int bounds_ = 0;
  struct {
    bool dtype = false, shape = false, offsets = false;
  } seen_;
};

/// {"metadata": {…}, "weight_map": {NAME: FILE}}
class IndexEvents final : public Events {
 public:
  explicit IndexEvents(std::string_view source) : Events(source, 0) {}

  std::map<std::string, std::string> files;  // tensor name → file name

  bool null() override { return ignored(); }
  bool boolean(bool) override { return ignored(); }
  bool number_float(number_float_t, const string_t&) override { return ignored(); }
  bool number_integer(number_integer_t) override { return ignored(); }
  bool number_unsigned(number_unsigned_t) override { return ignored(); }
  bool start_array(size_t) override {
    if (depth_ == 0 || in_map_) unexpected("an array");
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool start_object(size_t) override {
    if (in_map_) unexpected("an object");
    ++depth_;
    if (depth_ == 2 && top_key_ == "weight_map") {
      if (std::exchange(has_map_, true)) refuse(Code::bad_format, "appears twice");
      in_map_ = true;
    }
    return true;
  }
  bool end_object() override {
    --depth_;
    in_map_ = false;
    return true;
  }
  bool key(string_t& text) override {
    if (depth_ == 1) top_key_ = text;
    if (!in_map_) return true;
    if (files.size() == limits::kTensors)
      refuse(Code::limit_exceeded, "more than {} tensors", limits::kTensors);
    current_ = files.try_emplace(text);
    if (!current_.second) refuse(Code::bad_format, "tensor {} appears twice", quote(text));
    return true;
  }
  bool string(string_t& text) override {
    if (!in_map_) return ignored();
    // A plain name only: an index must not reach outside its own folder.
    if (text.empty() || text.front() == '.' || text.find_first_of("/\\") != std::string::npos ||
        text.find('\0') != std::string::npos || !text.ends_with(".safetensors"))
      refuse(Code::bad_format, "{} is not a plain file name ending in .safetensors", quote(text));
    current_.first->second = text;
    return true;
  }

 protected:
  std::string place() const override { return in_map_ ? "weight_map" : "index"; }

 private:
  bool ignored() const {
    if (depth_ == 0 || in_map_) unexpected("value");
    return true;
  }
  size_t depth_ = 0;
  bool in_map_ = false;
  bool has_map_ = false;
  std::string top_key_;
  std::pair<std::map<std::string, std::string>::iterator, bool> current_;
};

struct SafetensorsFile {
  std::vector<TensorEntry> tensors;  // in the order of their data
  std::map<std::string, std::string_view, std::less<>> unreadable;
  MetadataBuilder notes;
};

/// Gives every tensor its span: sorted by offset, the spans must fill `data` exactly.
void place_tensors(std::vector<Described>& tensors, std::span<const std::byte> data,
                   std::string_view source) {
  // Empty tensors may share a place; the name makes the order definite.
  std::ranges::sort(tensors, {}, [](const Described& tensor) {
    return std::tuple(tensor.begin, tensor.end, std::string_view(tensor.entry.name));
  });
  uint64_t expected = 0;
  for (Described& tensor : tensors) {
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
  guard_json(text, limits::kJsonDepth, limits::kJsonTokenBytes, source, sizeof(uint64_t));
  HeaderEvents events(source);
  nlohmann::json::sax_parse(text.begin(), text.end(), &events);
  place_tensors(events.tensors, reader.take(reader.remaining(), "data"), source);
  SafetensorsFile file;
  file.notes = std::move(events.notes);
  file.tensors.reserve(events.tensors.size());
  for (Described& tensor : events.tensors) {
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
  guard_json(text, limits::kJsonDepth, limits::kJsonTokenBytes, source, 0);
  IndexEvents events(source);
  nlohmann::json::sax_parse(text, &events);
  if (events.files.empty())
    fail(Code::bad_format, "{}: no weight_map, expected the list of tensors and their files",
         source);
  std::set<std::string> names;
  for (const auto& [tensor, file] : events.files) names.insert(file);
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
      const auto listed = events.files.find(tensor);
      if (listed != events.files.end() && listed->second != name)
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
  for (const auto& [tensor, file] : events.files)
    if (!checkpoint.unreadable().contains(tensor) && checkpoint.find(tensor) == nullptr)
      fail(Code::bad_format, "{}: tensor {} is not in {} as the index says", source, quote(tensor),
           file);
  return checkpoint;
}

std::string_view name_of(DType type) {
  const auto it = std::ranges::find(kTypes, std::optional(type), &SafetensorsType::type);
  if (it == kTypes.end())
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
