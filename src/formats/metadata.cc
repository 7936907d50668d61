// Parsing, conversion and encoding of metadata values. Every length is checked once, in parse();
// afterwards values are read without checks because they cannot reach outside their span.
#include "formats/metadata.h"

#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "formats/limits.h"
#include "formats/quote.h"

namespace weir {
namespace {

/// Bytes of one number; 0 for strings and arrays.
size_t size_of(ValueType type) {
  switch (type) {
    case ValueType::u8:
    case ValueType::i8:
    case ValueType::boolean:
      return 1;
    case ValueType::u16:
    case ValueType::i16:
      return 2;
    case ValueType::u32:
    case ValueType::i32:
    case ValueType::f32:
      return 4;
    case ValueType::u64:
    case ValueType::i64:
    case ValueType::f64:
      return 8;
    case ValueType::string:
    case ValueType::array:
      return 0;
  }
  return 0;
}

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

/// Calls f with the number of the given type at `at`. Returns false for strings and arrays.
template <typename F>
bool with_number(ValueType type, const std::byte* at, const F& f) {
  switch (type) {
    case ValueType::u8:
      f(load<uint8_t>(at));
      return true;
    case ValueType::i8:
      f(load<int8_t>(at));
      return true;
    case ValueType::u16:
      f(load<uint16_t>(at));
      return true;
    case ValueType::i16:
      f(load<int16_t>(at));
      return true;
    case ValueType::u32:
      f(load<uint32_t>(at));
      return true;
    case ValueType::i32:
      f(load<int32_t>(at));
      return true;
    case ValueType::u64:
      f(load<uint64_t>(at));
      return true;
    case ValueType::i64:
      f(load<int64_t>(at));
      return true;
    case ValueType::f32:
      f(load<float>(at));
      return true;
    case ValueType::f64:
      f(load<double>(at));
      return true;
    case ValueType::boolean:
      f(load<uint8_t>(at) != 0);
      return true;
    case ValueType::string:
    case ValueType::array:
      return false;
  }
  return false;
}

std::string_view view_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename T>
std::string wanted_text() {
  if constexpr (MetadataNumber<T>)
    return std::string(type_name(value_type_of<T>()));
  else
    return "string";
}

/// A number of one kind as T, if the kinds match and the value fits.
template <typename T, typename From>
std::optional<T> convert_number(From from) {
  if constexpr (std::same_as<T, bool> != std::same_as<From, bool>)
    return std::nullopt;
  else if constexpr (std::same_as<T, bool>)
    return from;
  else if constexpr (std::integral<T> && std::integral<From>)
    return checked_cast<T>(from);
  else if constexpr (std::floating_point<T> && std::floating_point<From>)
    return static_cast<T>(from);
  else
    return std::nullopt;
}

/// A scalar value as T, or nothing.
template <typename T>
std::optional<T> convert(const Value& value) {
  if constexpr (MetadataNumber<T>) {
    std::optional<T> result;
    with_number(value.type, value.bytes.data(),
                [&](auto from) { result = convert_number<T>(from); });
    return result;
  } else {
    if (value.type != ValueType::string) return std::nullopt;
    return T(view_of(value.bytes));
  }
}

template <typename T>
struct VectorOf {
  static constexpr bool kIs = false;
};
template <typename T>
struct VectorOf<std::vector<T>> {
  static constexpr bool kIs = true;
  using Element = T;
};

template <typename T>
std::vector<T> convert_array(const Value& value, std::string_view key) {
  std::vector<T> out;
  if (value.type != ValueType::array)
    fail(Code::bad_format, "metadata key {} is {}, expected an array of {}", quote(key),
         value.text(), wanted_text<T>());
  if (value.count > 0 && value.element == ValueType::string) {
    if constexpr (!MetadataNumber<T>) {
      out.reserve(value.count);
      for (const std::string_view text : value.strings(key)) out.emplace_back(text);
      return out;
    }
  }
  const size_t width = size_of(value.element);
  out.reserve(value.count);
  for (uint64_t i = 0; i < value.count; ++i) {
    std::optional<T> item;
    if (width > 0)
      item = convert<T>(Value{value.element, {}, 1, value.bytes.subspan(i * width, width)});
    if (!item)
      fail(Code::bad_format, "metadata key {} is an {}; element {} is not a {} that fits",
           quote(key), value.type_text(), i, wanted_text<T>());
    out.push_back(*std::move(item));
  }
  return out;
}

/// The value at the reader, all lengths inside it checked. `depth` counts enclosing arrays.
Value read_value(ByteReader& reader, ValueType type, int depth);

ValueType read_type(ByteReader& reader, const char* field) {
  const uint64_t at = reader.offset();
  const auto id = reader.number<uint32_t>(field);
  if (id > static_cast<uint32_t>(ValueType::f64))
    reader.fail_at(Code::bad_format, at, field, "{} is not a GGUF value type (0 to 12)", id);
  return static_cast<ValueType>(id);
}

void check_booleans(const ByteReader& reader, std::span<const std::byte> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i)
    if (static_cast<uint8_t>(bytes[i]) > 1)
      reader.fail_at(Code::bad_format, reader.offset() - bytes.size() + i, "bool value",
                     "{}, expected 0 or 1", static_cast<uint8_t>(bytes[i]));
}

Value read_array(ByteReader& reader, int depth) {
  const uint64_t start = reader.offset();
  if (depth >= limits::kArrayDepth)
    reader.fail_at(Code::limit_exceeded, start, "array", "arrays nested deeper than {}",
                   limits::kArrayDepth);
  Value value;
  value.type = ValueType::array;
  value.element = read_type(reader, "array element type");
  const uint64_t at = reader.offset();
  value.count = reader.number<uint64_t>("array length");
  const size_t width = size_of(value.element);
  // Strings take at least their length, arrays their type and length.
  const uint64_t least = width > 0 ? width : value.element == ValueType::string ? 8 : 12;
  if (value.count > reader.remaining() / least)
    reader.fail_at(Code::bad_format, at, "array length",
                   "{} elements of type {}, but only {} bytes are left", value.count,
                   type_name(value.element), reader.remaining());
  if (value.count > limits::kArrayElements)
    reader.fail_at(Code::limit_exceeded, at, "array length", "{} elements, the limit is {}",
                   value.count, limits::kArrayElements);
  if (width > 0) {
    value.bytes = reader.take(value.count * width, "array elements");
    if (value.element == ValueType::boolean) check_booleans(reader, value.bytes);
    return value;
  }
  ByteReader payload = reader;
  const uint64_t payload_start = reader.offset();
  for (uint64_t i = 0; i < value.count; ++i) read_value(reader, value.element, depth + 1);
  value.bytes = payload.take(reader.offset() - payload_start, "array elements");
  return value;
}

Value read_value(ByteReader& reader, ValueType type, int depth) {
  Value value;
  value.type = type;
  if (type == ValueType::array) return read_array(reader, depth);
  if (type == ValueType::string) {
    const std::string_view text = reader.string("string value", limits::kStringBytes);
    value.bytes = std::as_bytes(std::span(text));
    return value;
  }
  value.bytes = reader.take(size_of(type), "value");
  if (type == ValueType::boolean) check_booleans(reader, value.bytes);
  return value;
}

std::string_view read_key(ByteReader& reader) {
  const uint64_t start = reader.offset();
  const std::string_view key = reader.string("key", limits::kKeyBytes);
  if (key.empty()) reader.fail_at(Code::bad_format, start, "key", "empty, expected a name");
  for (const char c : key)
    if (c < 0x20 || c > 0x7e)
      reader.fail_at(Code::bad_format, start, "key", "{} holds a byte that is not printable ASCII",
                     quote(key));
  return key;
}

}  // namespace

std::string_view type_name(ValueType type) {
  constexpr std::string_view kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<size_t>(type)];
}

template <typename T>
T Value::as(std::string_view key) const {
  if constexpr (VectorOf<T>::kIs) {
    return convert_array<typename VectorOf<T>::Element>(*this, key);
  } else {
    if (auto result = convert<T>(*this)) return *std::move(result);
    fail(Code::bad_format, "metadata key {} is {} ({}), expected {}{}", quote(key), text(),
         type_text(), wanted_text<T>(), std::integral<T> ? " in its range" : "");
  }
}

#define WEIR_VALUE_AS(...)                                             \
  template __VA_ARGS__ Value::as<__VA_ARGS__>(std::string_view) const; \
  template std::vector<__VA_ARGS__> Value::as<std::vector<__VA_ARGS__>>(std::string_view) const;
WEIR_VALUE_AS(bool)
WEIR_VALUE_AS(uint8_t)
WEIR_VALUE_AS(int8_t)
WEIR_VALUE_AS(uint16_t)
WEIR_VALUE_AS(int16_t)
WEIR_VALUE_AS(uint32_t)
WEIR_VALUE_AS(int32_t)
WEIR_VALUE_AS(uint64_t)
WEIR_VALUE_AS(int64_t)
WEIR_VALUE_AS(float)
WEIR_VALUE_AS(double)
WEIR_VALUE_AS(std::string_view)
WEIR_VALUE_AS(std::string)
#undef WEIR_VALUE_AS

StringRange Value::strings(std::string_view key) const {
  if (type != ValueType::array || (element != ValueType::string && count > 0))
    fail(Code::bad_format, "metadata key {} is {}, expected an array of string", quote(key),
         type_text());
  return {bytes, count};
}

std::vector<Value> Value::elements(uint64_t limit) const {
  WEIR_CHECK(type == ValueType::array);
  ByteReader reader(bytes, "metadata");
  std::vector<Value> out;
  for (uint64_t i = 0; i < std::min(limit, count); ++i)
    out.push_back(read_value(reader, element, 0));
  return out;
}

std::string Value::type_text() const {
  if (type != ValueType::array) return std::string(type_name(type));
  return fmt::format("array of {} {}", count, type_name(element));
}

std::string Value::text(size_t max_elements, size_t max_bytes) const {
  if (type == ValueType::string) return quote(view_of(bytes), max_bytes);
  if (type == ValueType::array) {
    std::string out = "[";
    for (const Value& item : elements(max_elements)) {
      if (out.size() > 1) out += ", ";
      out += item.text(max_elements, max_bytes);
    }
    return out + (count > max_elements ? ", …]" : "]");
  }
  std::string out;
  with_number(type, bytes.data(), [&](auto number) { out = fmt::format("{}", number); });
  return out;
}

Metadata Metadata::parse(ByteReader& reader, uint64_t count, std::shared_ptr<const void> owner) {
  // key length, one character, type, one byte of value
  constexpr uint64_t kLeastEntry = 8 + 1 + 4 + 1;
  if (count > reader.remaining() / kLeastEntry)
    reader.fail_at(Code::bad_format, reader.offset(), "metadata",
                   "{} entries announced, but only {} bytes are left", count, reader.remaining());
  if (count > limits::kMetadataEntries)
    reader.fail_at(Code::limit_exceeded, reader.offset(), "metadata",
                   "{} entries announced, the limit is {}", count, limits::kMetadataEntries);
  Metadata out;
  out.owner_ = std::move(owner);
  out.entries_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    reader.enter("metadata entry", i);
    const std::string_view key = read_key(reader);
    const ValueType type = read_type(reader, "value type");
    out.entries_.push_back({key, read_value(reader, type, 0)});
  }
  reader.leave();
  const auto key_of = [&](size_t i) { return out.entries_[i].key; };
  out.index_ = NameIndex(count, key_of);
  if (const auto twice = out.index_.duplicate(key_of)) {
    // The key is a view into the reader's bytes; its length field stands 8 bytes before it.
    reader.fail_at(Code::bad_format, reader.offset_of(key_of(twice->second)) - sizeof(uint64_t),
                   "key", "{} appears twice, in metadata entries {} and {}",
                   quote(key_of(twice->second)), twice->first, twice->second);
  }
  return out;
}

const Value* Metadata::find(std::string_view key) const {
  const auto at = index_.find(key, [&](size_t i) { return entries_[i].key; });
  return at ? &entries_[*at].value : nullptr;
}

void Metadata::missing(std::string_view key) {
  fail(Code::bad_format, "metadata key {} is missing; the file is incomplete or of another kind",
       quote(key));
}

void MetadataBuilder::begin(std::string_view key, ValueType type) {
  put_string(key);
  put(static_cast<uint32_t>(type));
  ++count_;
}

void MetadataBuilder::begin_array(std::string_view key, ValueType element, uint64_t count) {
  begin(key, ValueType::array);
  put(static_cast<uint32_t>(element));
  put(count);
}

void MetadataBuilder::put_string(std::string_view value) {
  put(uint64_t{value.size()});
  bytes_ += value;
}

void MetadataBuilder::add(std::string_view key, const Value& value) {
  if (value.type == ValueType::array) {
    begin_array(key, value.element, value.count);
    bytes_ += view_of(value.bytes);
  } else if (value.type == ValueType::string) {
    add(key, view_of(value.bytes));
  } else {
    begin(key, value.type);
    bytes_ += view_of(value.bytes);
  }
}

Metadata MetadataBuilder::build() const {
  const auto copy = std::make_shared<const std::string>(bytes_);
  ByteReader reader(std::as_bytes(std::span(*copy)), "metadata");
  return Metadata::parse(reader, count_, copy);
}

}  // namespace weir
