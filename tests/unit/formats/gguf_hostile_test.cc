// Hostile GGUF bytes: truncation at every byte, every field at every edge value, the published
// overflow vectors, duplicates, bad layouts, floods. Everything ends in a typed error that names
// the field and the offset, or in a checkpoint that is whole.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "base/file.h"
#include "formats/gguf.h"
#include "support/clock.h"
#include "support/temp_dir.h"
#include "unit/formats/expect_error.h"
#include "unit/formats/inspect.h"
#include "unit/formats/raw_gguf.h"

namespace weir {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::RawGguf;
using test::sample;
using ::testing::HasSubstr;

constexpr uint64_t kMax = ~uint64_t{0};

/// Reads bytes that need not be good: true if accepted (and then whole); an error must be typed and
/// name an offset inside the file.
bool accepts(const std::string& bytes) {
  const auto span = std::as_bytes(std::span(bytes));
  const auto error = test::error_of([&] { test::inspect(read_gguf(span, "hostile"), span); });
  if (!error) return true;
  EXPECT_NE(error->code(), Code::internal) << error->what();
  const std::string what = error->what();
  const auto at = what.find(" at byte ");
  EXPECT_NE(at, std::string::npos) << what;
  if (at != std::string::npos) {
    EXPECT_LE(std::stoull(what.substr(at + 9)), bytes.size()) << what;
  }
  return false;
}

template <typename... Words>
void expect_refused(const RawGguf& raw, Code code, Words... words) {
  expect_error(code, {words...}, [&] { read_gguf(raw.span(), "hostile"); });
}

TEST(GgufHostile, TruncationAtEveryByte) {
  const std::string bytes = sample().bytes;
  for (size_t cut = 0; cut < bytes.size(); ++cut)
    EXPECT_FALSE(accepts(bytes.substr(0, cut))) << "cut at " << cut;
  EXPECT_TRUE(accepts(bytes));
  EXPECT_TRUE(accepts(bytes + "anything after the last tensor"));
}

TEST(GgufHostile, EveryFieldAtEveryEdge) {
  const RawGguf good = sample();
  const std::vector<uint64_t> edges = [] {
    std::vector<uint64_t> values = {
        0, 1, 2, 3, 12, 13, 31, 33, 9999, kMax / 4 + 1, kMax / 8 + 1, kMax / 33, kMax / 14};
    for (const int bit : {4, 7, 8, 15, 16, 24, 31, 32, 33, 40, 56, 61, 62, 63})
      for (const uint64_t delta : {kMax, uint64_t{0}, uint64_t{1}})
        values.push_back((uint64_t{1} << bit) + delta);
    values.push_back(kMax);
    values.push_back(kMax - 31);
    return values;
  }();
  int refused = 0;
  for (const test::Field& field : good.fields) {
    uint64_t original = 0;
    std::memcpy(&original, good.bytes.data() + field.at, field.width);
    std::vector<uint64_t> values = edges;
    values.push_back(original + 1);
    values.push_back(original - 1);
    for (const uint64_t value : values) {
      SCOPED_TRACE(fmt::format("{} at {} set to {}", field.name, field.at, value));
      std::string bytes = good.bytes;
      std::memcpy(bytes.data() + field.at, &value, field.width);
      const bool accepted = accepts(bytes);
      refused += !accepted;
      // Whatever decides sizes and places has only one right value here. (Fewer tensors than there
      // are leave bytes after the last one, which the format allows.)
      const std::set<std::string> structural = {
          "metadata count", "key length",      "string value length", "name length",
          "data offset",    "dimension count", "array length"};
      uint64_t now = 0;
      std::memcpy(&now, bytes.data() + field.at, field.width);
      if ((structural.contains(field.name) && now != original) ||
          (field.name == "tensor count" && now > original)) {
        EXPECT_FALSE(accepted);
      }
    }
  }
  EXPECT_GT(refused, 1500);
}

TEST(GgufHostile, EveryByteChanged) {
  const std::string good = sample().bytes;
  for (size_t at = 0; at < good.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      accepts(bytes);
    }
  }
}

TEST(GgufHostile, FieldsAreNamedInErrors) {
  const RawGguf good = sample();
  const auto patched = [&](const std::string& name, int which, uint64_t value) {
    RawGguf raw = good;
    for (const test::Field& field : raw.fields)
      if (field.name == name && which-- == 0) {
        std::memcpy(raw.bytes.data() + field.at, &value, field.width);
        return std::pair(raw, fmt::format("at byte {}", field.at));
      }
    ADD_FAILURE() << "no field " << name;
    return std::pair(raw, std::string());
  };
  const auto check = [&](const std::string& name, int which, uint64_t value, Code code,
                         std::vector<std::string> words) {
    SCOPED_TRACE(fmt::format("{} {} = {}", name, which, value));
    const auto [raw, place] = patched(name, which, value);
    words.push_back(place);
    expect_error(code, words, [&, &bytes = raw] { read_gguf(bytes.span(), "hostile"); });
  };
  check("tensor count", 0, uint64_t{1} << 63, Code::bad_format, {"tensor count"});
  check("key length", 2, kMax, Code::bad_format, {"metadata entry 2, key"});
  check("value type", 0, 13, Code::bad_format, {"metadata entry 0, value type", "13"});
  check("array element type", 0, 13, Code::bad_format, {"metadata entry 5, array element type"});
  check("array length", 0, uint64_t{1} << 40, Code::bad_format, {"metadata entry 5, array length"});
  check("flag", 0, 2, Code::bad_format, {"metadata entry 2, bool value", "expected 0 or 1"});
  check("name length", 1, uint64_t{1} << 62, Code::bad_format, {"tensor 1, name"});
  check("name length", 0, 64, Code::limit_exceeded, {"tensor 0, name", "limit is 63"});
  check("dimension count", 0, 0, Code::bad_format, {"tensor 0, dimension count", "1 to 4"});
  check("dimension count", 0, 5, Code::bad_format, {"tensor 0, dimension count", "1 to 4"});
  check("dimension", 0, 0, Code::bad_format, {"tensor 0, dimension 0"});
  check("dimension", 2, 0, Code::bad_format, {"tensor 1, dimension 1"});
  check("dimension", 3, 33, Code::bad_format, {"tensor 2, dimension 0", "32 elements in a Q4_0"});
  check("type", 0, 9999, Code::bad_format, {"tensor 0, type", "9999"});
  check("type", 0, 16, Code::unsupported, {"'a'", "IQ2_XXS"});
  check("type", 1, 39, Code::unsupported, {"'b'", "MXFP4"});
  check("data offset", 1, 33, Code::bad_format, {"tensor 1, data offset", "alignment 32"});
  check("data offset", 1, 0, Code::bad_format, {"tensor 1, data offset", "expected 32"});
}

TEST(GgufHostile, MagicAndVersions) {
  for (const auto& [version, code, word] :
       {std::tuple{0u, Code::bad_format, "expected 2 or 3"},
        std::tuple{1u, Code::unsupported, "v1 is obsolete"},
        std::tuple{4u, Code::unsupported, "expected 2 or 3"},
        std::tuple{0x03000000u, Code::unsupported, "big-endian"},
        std::tuple{0xffffffffu, Code::bad_format, "expected 2 or 3"}}) {
    RawGguf raw;
    expect_refused(raw.header(0, 0, version), code, word, "version at byte 4");
  }
  RawGguf two;
  EXPECT_EQ(read_gguf(two.header(0, 0, 2).span(), "two").format(), "GGUF v2");
  RawGguf other = sample();
  other.bytes[0] = 'X';
  expect_refused(other, Code::bad_format, "magic at byte 0", "GGUF");
}

/// A file of F32-sized tensors with these dims and plenty of data behind them.
RawGguf with_dims(const std::vector<std::vector<uint64_t>>& tensors,
                  uint32_t type = test::kTypeF32) {
  RawGguf raw;
  raw.header(tensors.size(), 0);
  uint64_t offset = 0;
  for (const auto& dims : tensors) {
    raw.tensor(fmt::format("t{}", offset), dims, type, offset);
    offset += 32;
  }
  return raw.pad().data(4096), raw;
}

// The vectors V1 to V12 of the reliability list.
TEST(GgufHostile, DimensionVectors) {
  constexpr uint64_t kOne = 1;
  const std::vector<std::vector<std::vector<uint64_t>>> vectors = {
      {{kOne << 62, 4}},                          // V1: product 2^64
      {{kOne << 32, kOne << 32}},                 // V2
      {{kOne << 21, kOne << 21, kOne << 21, 2}},  // V3
      {{kOne << 62}},                             // V4: bytes wrap to 0
      {{kMax / 4}, {8}},                          // V5: padding wraps
      {{kOne << 63}},                             // V6
      {{kMax}},                                   // V7: -1
      {{0, kOne << 40}},                          // V8
      {{kOne << 40, 0}},                          //
      {{}},                                       // V9
      {{1, 1, 1, 1, 1}},                          //
      {{(kOne << 61) - 1}, {8}},                  // bytes near 2^63
      {{kOne << 31, kOne << 31, 1, 1}},           //
      {{3, 3037000500, 3037000500}},              // passes 2^63 in the last factor
  };
  for (const auto& tensors : vectors) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(tensors.front(), ",")));
    EXPECT_FALSE(accepts(with_dims(tensors).bytes));
    EXPECT_FALSE(accepts(with_dims(tensors, test::kTypeF16).bytes));
  }
  EXPECT_TRUE(accepts(with_dims({{8}, {2, 2, 2, 1}}).bytes));
  // V10: a Q4_K row must be a multiple of 256.
  expect_refused(with_dims({{255}}, test::kTypeQ4_K), Code::bad_format, "multiple of the 256");
  expect_refused(with_dims({{1, 256}}, test::kTypeQ4_K), Code::bad_format, "multiple of the 256");
  EXPECT_TRUE(accepts(with_dims({{256, 3}}, test::kTypeQ4_K).bytes));
}

// V11 and every other id: withdrawn and foreign types are refused by name, unknown ones by number.
TEST(GgufHostile, TypeIds) {
  int accepted = 0;
  for (uint32_t id = 0; id < 300; ++id) accepted += accepts(with_dims({{256}}, id).bytes);
  EXPECT_EQ(accepted, 20);
  for (const uint32_t id : {4u, 5u, 31u, 36u})
    expect_refused(with_dims({{256}}, id), Code::unsupported, "withdrawn");
  expect_refused(with_dims({{256}}, 43), Code::bad_format, "43 is not a known type id");
  expect_refused(with_dims({{256}}, 1u << 31), Code::bad_format, "not a known type id");
}

// V12, A3, A9: places of the data.
TEST(GgufHostile, DataLayouts) {
  const auto layout = [](const std::vector<uint64_t>& offsets, size_t data) {
    RawGguf raw;
    raw.header(offsets.size(), 0);
    for (size_t i = 0; i < offsets.size(); ++i)
      raw.tensor(fmt::format("t{}", i), {10}, test::kTypeF32, offsets[i]);  // 40 bytes, padded 64
    return raw.pad().data(data), raw;
  };
  EXPECT_TRUE(accepts(layout({0, 64}, 104).bytes));
  EXPECT_FALSE(accepts(layout({0, 64}, 103).bytes));  // one byte past the end
  expect_refused(layout({0, 64}, 103), Code::bad_format, "tensor 1, data offset", "'t1'",
                 "truncated");
  expect_refused(layout({0, 32}, 200), Code::bad_format, "tensor 1, data offset", "expected 64");
  expect_refused(layout({64, 0}, 200), Code::bad_format, "tensor 0, data offset", "expected 0");
  expect_refused(layout({0, 0}, 200), Code::bad_format, "expected 64");
  expect_refused(layout({0, 96}, 200), Code::bad_format, "expected 64");
  expect_refused(layout({0, 65}, 200), Code::bad_format, "not a multiple of the alignment");
  expect_refused(layout({0, kMax - 31}, 200), Code::bad_format, "expected 64");
  expect_refused(layout({0, uint64_t{1} << 63}, 200), Code::bad_format, "expected 64");
  expect_refused(layout({0, 64}, 64), Code::bad_format, "tensor 1");  // begins at the end
}

TEST(GgufHostile, SumOfSizesWraps) {
  // Each fits 64 bits, the padded sum is 2^64 + 32.
  RawGguf raw;
  raw.header(2, 0);
  raw.tensor("a", {uint64_t{1} << 61}, test::kTypeF32, 0);
  raw.tensor("b", {8}, test::kTypeF32, 32);
  expect_refused(raw.pad().data(4096), Code::bad_format, "tensor 0, dimensions", "overflows");
  RawGguf half;
  half.header(3, 0);
  const uint64_t elements = (uint64_t{1} << 61) - 8;  // 2^63 - 32 bytes
  half.tensor("a", {elements}, test::kTypeF32, 0);
  half.tensor("b", {elements}, test::kTypeF32, (uint64_t{1} << 63) - 32);
  half.tensor("c", {16}, test::kTypeF32, kMax - 63);
  expect_refused(half.pad().data(4096), Code::bad_format, "tensor 0", "file ends");
}

TEST(GgufHostile, AlignmentValues) {
  const auto with = [](auto fill) {
    RawGguf raw;
    raw.header(1, 1);
    fill(raw);
    return raw.tensor("a", {2}, test::kTypeF32, 0).pad(65536).data(8), raw;
  };
  for (const uint32_t alignment : {0u, 1u, 3u, 4u, 24u, 31u, 33u, 131072u, 1u << 31, ~0u})
    expect_refused(with([&](RawGguf& raw) {
                     raw.key("general.alignment", test::kU32).u32("alignment", alignment);
                   }),
                   Code::bad_format, "general.alignment at byte", "power of two");
  for (const uint32_t alignment : {8u, 16u, 32u, 65536u})
    EXPECT_TRUE(accepts(with([&](RawGguf& raw) {
                          raw.key("general.alignment", test::kU32).u32("alignment", alignment);
                        }).bytes));
  expect_refused(with([](RawGguf& raw) {
                   raw.key("general.alignment", test::kString).text("string value", "32");
                 }),
                 Code::bad_format, "general.alignment", "string, expected u32");
  expect_refused(
      with([](RawGguf& raw) { raw.key("general.alignment", test::kU64).u64("alignment", 32); }),
      Code::bad_format, "general.alignment", "u64, expected u32");
  expect_refused(with([](RawGguf& raw) {
                   raw.key("general.alignment", test::kArray).u32("element", test::kU32);
                   raw.u64("length", 1).u32("alignment", 32);
                 }),
                 Code::bad_format, "general.alignment", "array");
  RawGguf twice;
  twice.header(0, 2);
  for (int i = 0; i < 2; ++i) twice.key("general.alignment", test::kU32).u32("alignment", 32);
  expect_refused(twice, Code::bad_format, "'general.alignment' appears twice");
}

TEST(GgufHostile, Duplicates) {
  RawGguf keys;
  keys.header(0, 3);
  for (const char* name : {"a.b", "c", "a.b"})
    keys.key(name, test::kU8).number("value", uint8_t{1});
  expect_refused(keys, Code::bad_format, "'a.b' appears twice", "entries 0 and 2",
                 fmt::format("at byte {}", keys.bytes.size() - 16));
  RawGguf tensors;
  tensors.header(2, 0);
  tensors.tensor("same", {8}, test::kTypeF32, 0).tensor("same", {8}, test::kTypeF32, 32);
  expect_refused(tensors.pad().data(64), Code::bad_format, "'same' appears twice", "byte 24",
                 "at byte 60");
}

TEST(GgufHostile, KeysAndNames) {
  const auto with_key = [](std::string_view key) {
    RawGguf raw;
    return raw.header(0, 1).key(key, test::kU32).u32("value", 1), raw;
  };
  EXPECT_TRUE(accepts(with_key("general.Name-1 x").bytes));
  EXPECT_TRUE(accepts(with_key(std::string(65535, 'k')).bytes));
  expect_refused(with_key(std::string(65536, 'k')), Code::limit_exceeded, "limit is 65535");
  expect_refused(with_key(""), Code::bad_format, "key at byte 24", "empty");
  for (const std::string_view key : {std::string_view("a\0b", 3), std::string_view("a\nb"),
                                     std::string_view("\xc3\xa4"), std::string_view("\x7f")})
    expect_refused(with_key(key), Code::bad_format, "printable ASCII");
  const auto with_name = [](std::string_view name) {
    RawGguf raw;
    raw.header(1, 0).tensor(name, {8}, test::kTypeF32, 0);
    return raw.pad().data(32), raw;
  };
  EXPECT_TRUE(accepts(with_name(std::string(63, 'n')).bytes));
  EXPECT_TRUE(accepts(with_name("gr\xc3\xb6\xc3\x9f\x65").bytes));
  EXPECT_FALSE(accepts(with_name(std::string(64, 'n')).bytes));
  expect_refused(with_name(""), Code::bad_format, "empty");
  expect_refused(with_name(std::string_view("a\0b", 3)), Code::bad_format, "control character",
                 "'a\\x00b'");
}

TEST(GgufHostile, ArrayBombs) {
  const auto with_array = [](uint32_t type, uint64_t length) {
    RawGguf raw;
    raw.header(0, 1).key("a", test::kArray).u32("type", type).u64("length", length);
    return raw.data(64), raw;
  };
  for (const uint32_t type : {test::kU8, test::kBool, test::kF64, test::kString, test::kArray})
    for (const uint64_t length :
         {kMax, uint64_t{1} << 63, uint64_t{1} << 61, uint64_t{1} << 40, uint64_t{65}})
      expect_refused(with_array(type, length), Code::bad_format, "array length at byte");
  EXPECT_TRUE(accepts(with_array(test::kF64, 0).bytes));
  EXPECT_TRUE(accepts(with_array(test::kArray, 0).bytes));
  // Arrays of arrays: four deep is allowed, five and 100 000 are not.
  const auto nested = [](size_t depth) {
    RawGguf raw;
    raw.header(0, 1).key("a", test::kArray);
    for (size_t i = 1; i < depth; ++i) raw.u32("type", test::kArray).u64("length", 1);
    return raw.u32("type", test::kU8).u64("length", 1).number("value", uint8_t{7}), raw;
  };
  EXPECT_TRUE(accepts(nested(4).bytes));
  expect_refused(nested(5), Code::limit_exceeded, "nested deeper than 4");
  expect_refused(nested(100'000), Code::limit_exceeded, "nested deeper than 4");
}

TEST(GgufHostile, LimitsOnHonestlyLongThings) {
  RawGguf array;
  array.header(0, 1).key("a", test::kArray).u32("type", test::kU8);
  array.u64("length", (uint64_t{16} << 20) + 1).bytes.resize(array.bytes.size() + (17 << 20));
  expect_refused(array, Code::limit_exceeded, "the limit is 16777216");
  RawGguf text;
  text.header(0, 1).key("a", test::kString).u64("length", (uint64_t{16} << 20) + 1);
  text.bytes.resize(text.bytes.size() + (17 << 20));
  expect_refused(text, Code::limit_exceeded, "the limit is 16777216");
  RawGguf keys;
  keys.header(0, 65537).bytes.resize(65537 * 16);
  expect_refused(keys, Code::limit_exceeded, "the limit is 65536");
  RawGguf tensors;
  tensors.header(131073, 0).bytes.resize(131073 * 40);
  expect_refused(tensors, Code::limit_exceeded, "the limit is 131072");
}

/// A file that is mostly a hole.
class SparseTest : public ::testing::Test {
 protected:
  fs::path make(const RawGguf& raw, uint64_t size) {
    const fs::path path = temp_.path() / "sparse.gguf";
    write_file_atomically(path, raw.bytes);
    if (::truncate(path.c_str(), static_cast<off_t>(size)) != 0) return {};
    return path;
  }
  test::TempDir temp_;
};

TEST_F(SparseTest, TokenOfTwoGibibytes) {
  RawGguf raw;
  raw.header(0, 1).key("tokenizer.ggml.tokens", test::kArray).u32("type", test::kString);
  raw.u64("length", 1).u64("string value length", (uint64_t{1} << 31) + 1);
  const fs::path path = make(raw, uint64_t{3} << 30);
  if (path.empty()) GTEST_SKIP() << "this file system has no sparse files of 3 GiB";
  expect_error(Code::limit_exceeded, {"2147483649", "the limit is 16777216"},
               [&] { read_gguf(path); });
}

TEST_F(SparseTest, TensorOfOneTebibyteOpensWithoutReadingIt) {
  RawGguf raw;
  const uint64_t elements = uint64_t{1} << 38;
  raw.header(1, 0).tensor("a", {1 << 19, elements >> 19}, test::kTypeF32, 0).pad();
  const fs::path path = make(raw, raw.bytes.size() + elements * 4);
  if (path.empty()) GTEST_SKIP() << "this file system has no sparse files of 1 TiB";
  try {
    MappedFile::open(path);
  } catch (const Error&) {
    GTEST_SKIP() << "1 TiB cannot be mapped here (a sanitizer or an emulator holds the addresses)";
  }
  const double seconds =
      test::least_seconds(1, [&] { EXPECT_EQ(read_gguf(path).tensor_bytes(), uint64_t{1} << 40); });
  EXPECT_LT(seconds, test::allowed_seconds(0.1));
}

/// `count` one-block tensors; names share a long prefix, to make comparing expensive.
RawGguf many_tensors(uint64_t count) {
  RawGguf raw;
  raw.header(count, 0);
  for (uint64_t i = 0; i < count; ++i)
    raw.tensor(
        fmt::format("blk.a_rather_long_name_of_a_tensor_in_a_layer.{:06}.weight", i * 7919 % count),
        {8}, test::kTypeF32, i * 32);
  return raw.pad().data(count * 32), raw;
}

double seconds_to_read(const RawGguf& raw) {
  return test::least_seconds(5, [&] { read_gguf(raw.span(), "many"); });
}

TEST(GgufHostile, TheMostTensorsInLinearTime) {
  const double full = seconds_to_read(many_tensors(131072));
  const double eighth = seconds_to_read(many_tensors(16384));
  RecordProperty("milliseconds", static_cast<int>(full * 1e3));
  EXPECT_LE(full, test::allowed_seconds(1.0));
  EXPECT_LE(full / eighth, test::allowed_ratio(8));
}

}  // namespace
}  // namespace weir
