// The key-value part of a model file: typed values that stay where the file mapping put them. Owns
// the GGUF value encoding (both directions); refuses to know what any key means.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "formats/byte_reader.h"
#include "formats/name_index.h"

namespace weir {

/// Value types with their ids in a GGUF file.
enum class ValueType : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

std::string_view type_name(ValueType type);

template <typename T>
concept MetadataNumber = std::is_arithmetic_v<T>;

/// The value type that a C++ number is written as.
template <MetadataNumber T>
constexpr ValueType value_type_of() {
  if constexpr (std::same_as<T, bool>)
    return ValueType::boolean;
  else if constexpr (std::floating_point<T>)
    return sizeof(T) == 4 ? ValueType::f32 : ValueType::f64;
  else if constexpr (sizeof(T) == 1)
    return std::signed_integral<T> ? ValueType::i8 : ValueType::u8;
  else if constexpr (sizeof(T) == 2)
    return std::signed_integral<T> ? ValueType::i16 : ValueType::u16;
  else if constexpr (sizeof(T) == 4)
    return std::signed_integral<T> ? ValueType::i32 : ValueType::u32;
  else
    return std::signed_integral<T> ? ValueType::i64 : ValueType::u64;
}

/// The strings of a string array, in order, read where they lie. Nothing is copied.
class StringRange {
 public:
  class Iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;
    Iterator() = default;
    Iterator(const std::byte* at, uint64_t left) : at_(at), left_(left) {}
    std::string_view operator*() const {
      return {reinterpret_cast<const char*>(at_ + sizeof(uint64_t)), length()};
    }
    Iterator& operator++() {
      at_ += sizeof(uint64_t) + length();
      --left_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator& other) const { return left_ == other.left_; }

   private:
    size_t length() const {
      uint64_t value;
      std::memcpy(&value, at_, sizeof(value));
      return value;
    }
    const std::byte* at_ = nullptr;
    uint64_t left_ = 0;
  };

  StringRange(std::span<const std::byte> payload, uint64_t count)
      : payload_(payload), count_(count) {}
  uint64_t size() const { return count_; }
  Iterator begin() const { return {payload_.data(), count_}; }
  Iterator end() const { return {payload_.data() + payload_.size(), 0}; }

 private:
  std::span<const std::byte> payload_;
  uint64_t count_;
};

/// One value as it lies in the file, already checked. A view: the Metadata keeps the bytes alive.
struct Value {
  ValueType type = ValueType::u8;
  ValueType element = ValueType::u8;  // arrays: type of the elements
  uint64_t count = 1;                 // arrays: number of elements
  std::span<const std::byte> bytes;   // number; characters of a string; payload of an array

  /// The value as T: bool, any integer (from any integer type, if it fits), float or double (from
  /// either), std::string_view, std::string, or std::vector of these from an array. `key` is named
  /// in the error (bad_format) when the type or range is wrong.
  template <typename T>
  T as(std::string_view key) const;

  /// The strings of a string array without a copy.
  StringRange strings(std::string_view key) const;

  /// The first `limit` elements of an array as values.
  std::vector<Value> elements(uint64_t limit) const;

  /// What this is, for messages and listings: "u32", "array of 32000 string".
  std::string type_text() const;

  /// The value as text; strings quoted and cut at `max_bytes`, arrays cut at `max_elements`.
  std::string text(size_t max_elements = 8, size_t max_bytes = 80) const;
};

/// Keys and values in file order, found by key. Move or copy freely: the bytes are shared.
class Metadata {
 public:
  struct Entry {
    std::string_view key;
    Value value;
  };

  Metadata() = default;

  /// Reads `count` entries; `owner` keeps the reader's bytes alive. Throws bad_format or
  /// limit_exceeded naming entry, field and offset; duplicate keys are refused.
  static Metadata parse(ByteReader& reader, uint64_t count, std::shared_ptr<const void> owner);

  const std::vector<Entry>& entries() const { return entries_; }
  const Value* find(std::string_view key) const;
  bool contains(std::string_view key) const { return find(key) != nullptr; }

  /// Nothing when the key is absent; throws when it is there with another type or out of range.
  template <typename T>
  std::optional<T> get(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    return value->as<T>(key);
  }

  template <typename T>
  T get_or(std::string_view key, T fallback) const {
    return get<T>(key).value_or(std::move(fallback));
  }

  /// Throws bad_format when the key is absent.
  template <typename T>
  T require(std::string_view key) const {
    const Value* value = find(key);
    if (value == nullptr) missing(key);
    return value->as<T>(key);
  }

 private:
  [[noreturn]] static void missing(std::string_view key);
  std::vector<Entry> entries_;
  NameIndex index_;
  std::shared_ptr<const void> owner_;
};

/// Collects keys and values in the GGUF encoding: for writers, and for metadata that did not come
/// from a GGUF file.
class MetadataBuilder {
 public:
  template <MetadataNumber T>
  void add(std::string_view key, T value) {
    begin(key, value_type_of<T>());
    put(value);
  }
  void add(std::string_view key, std::string_view value) {
    begin(key, ValueType::string);
    put_string(value);
  }
  void add(std::string_view key, const char* value) { add(key, std::string_view(value)); }
  void add(std::string_view key, const std::string& value) { add(key, std::string_view(value)); }

  template <MetadataNumber T>
  void add(std::string_view key, const std::vector<T>& values) {
    begin_array(key, value_type_of<T>(), values.size());
    for (const T value : values) put(value);
  }
  template <typename S>
  requires std::convertible_to<S, std::string_view> &&
      (!MetadataNumber<S>)void add(std::string_view key, const std::vector<S>& values) {
    begin_array(key, ValueType::string, values.size());
    for (const auto& value : values) put_string(value);
  }

  /// Copies a value of another file.
  void add(std::string_view key, const Value& value);

  uint64_t count() const { return count_; }
  const std::string& bytes() const { return bytes_; }

  /// The same as readable Metadata (a copy). Throws on duplicate keys and bad keys.
  Metadata build() const;

 private:
  void begin(std::string_view key, ValueType type);
  void begin_array(std::string_view key, ValueType element, uint64_t count);
  void put_string(std::string_view value);
  template <MetadataNumber T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }

  std::string bytes_;
  uint64_t count_ = 0;
};

}  // namespace weir
