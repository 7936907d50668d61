// GGUF bytes written by hand, field by field, so that tests can place wrong values where no writer
// would. Independent of the writer under test.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::test {

struct Field {
  std::string name;
  size_t at;
  size_t width;  // bytes of the number
};

class RawGguf {
 public:
  std::string bytes;
  std::vector<Field> fields;

  template <typename T>
  RawGguf& number(const std::string& name, T value) {
    fields.push_back({name, bytes.size(), sizeof(value)});
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  RawGguf& u32(const std::string& name, uint32_t value) { return number(name, value); }
  RawGguf& u64(const std::string& name, uint64_t value) { return number(name, value); }
  RawGguf& text(const std::string& name, std::string_view value) {
    u64(name + " length", value.size());
    bytes += value;
    return *this;
  }
  RawGguf& header(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
    bytes += "GGUF";
    return u32("version", version).u64("tensor count", tensors).u64("metadata count", entries);
  }
  /// Key and value type.
  RawGguf& key(std::string_view name, uint32_t type) {
    return text("key", name).u32("value type", type);
  }
  RawGguf& tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type,
                  uint64_t offset) {
    text("name", name).u32("dimension count", static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) u64("dimension", dim);
    return u32("type", type).u64("data offset", offset);
  }
  RawGguf& pad(size_t alignment = 32) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment, '\0');
    return *this;
  }
  RawGguf& data(size_t count) {
    for (size_t i = 0; i < count; ++i) bytes += static_cast<char>(i);
    return *this;
  }

  std::span<const std::byte> span() const { return std::as_bytes(std::span(bytes)); }

  template <typename T>
  void patch(size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof(value));
  }
};

// Value and tensor type ids of the format, as the specification numbers them.
inline constexpr uint32_t kU8 = 0, kI8 = 1, kU16 = 2, kI16 = 3, kU32 = 4, kI32 = 5, kF32 = 6,
                          kBool = 7, kString = 8, kArray = 9, kU64 = 10, kI64 = 11, kF64 = 12;
inline constexpr uint32_t kTypeF32 = 0, kTypeF16 = 1, kTypeQ4_0 = 2, kTypeQ4_K = 12;

/// A valid file with a value of every kind and three tensors: "a" F32 {4}, "b" F16 {3, 5} and
/// "c" Q4_0 {32, 2}. The data section has 16 + pad, 30 + pad, 36 bytes and no padding at the end.
inline RawGguf sample() {
  RawGguf raw;
  raw.header(3, 8);
  raw.key("general.architecture", kString).text("string value", "llama");
  raw.key("general.alignment", kU32).u32("alignment", 32);
  raw.key("t.flag", kBool).number("flag", uint8_t{1});
  raw.key("t.rate", kF32).number("rate", 1.5f);
  raw.key("t.big", kU64).u64("big", uint64_t{1} << 40);
  raw.key("t.ids", kArray).u32("array element type", kI32).u64("array length", 3);
  raw.number("id", int32_t{1}).number("id", int32_t{-2}).number("id", int32_t{3});
  raw.key("t.words", kArray).u32("array element type", kString).u64("array length", 2);
  raw.text("string value", "one").text("string value", "");
  raw.key("t.nested", kArray).u32("array element type", kArray).u64("array length", 2);
  raw.u32("array element type", kU8).u64("array length", 1).number("id", uint8_t{7});
  raw.u32("array element type", kString).u64("array length", 1).text("string value", "x");
  raw.tensor("a", {4}, kTypeF32, 0);
  raw.tensor("b", {3, 5}, kTypeF16, 32);
  raw.tensor("c", {32, 2}, kTypeQ4_0, 64);
  raw.pad().data(16).pad().data(30).pad().data(36);
  return raw;
}

}  // namespace weir::test
