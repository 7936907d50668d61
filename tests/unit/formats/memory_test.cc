// Parse memory: at most 16 MiB + 4 × header bytes on the heap, whatever the header says. Every
// allocation of this test program is counted.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "unit/formats/allocation_counter.h"
#include "unit/formats/raw_gguf.h"

namespace weir {
namespace {

/// Peak heap bytes of reading `bytes`, on top of what was there before.
template <typename Read>
size_t peak_of(const Read& read, std::string_view bytes, bool accepted) {
  const size_t before = test::live_bytes();
  test::reset_peak();
  bool ok = true;
  try {
    read(std::as_bytes(std::span(bytes)), "memory test");
  } catch (const Error&) {
    ok = false;
  }
  EXPECT_EQ(ok, accepted);
  EXPECT_EQ(test::live_bytes(), before) << "memory was not given back";
  return test::peak_bytes() - before;
}

size_t gguf_peak(const std::string& bytes, bool accepted) {
  return peak_of([](auto span, auto name) { read_gguf(span, name); }, bytes, accepted);
}

size_t safetensors_peak(std::string header, bool accepted, size_t data = 0) {
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  bytes += header;
  bytes.resize(bytes.size() + data);
  header.clear();
  return peak_of([](auto span, auto name) { read_safetensors(span, name); }, bytes, accepted);
}

constexpr size_t kMiB = size_t{1} << 20;

TEST(ParseMemory, TheCounterCounts) {
  const size_t before = test::live_bytes();
  test::reset_peak();
  { const std::string text(1 << 20, 'x'); }
  EXPECT_GE(test::peak_bytes() - before, kMiB);
  EXPECT_EQ(test::live_bytes(), before);
}

TEST(ParseMemory, SmallFilesWithHugeCounts) {
  const test::RawGguf good = test::sample();
  for (const test::Field& field : good.fields) {
    for (const uint64_t value : {uint64_t{0xffffffff}, uint64_t{1} << 32, uint64_t{1} << 63,
                                 ~uint64_t{0}, ~uint64_t{0} / 33, ~uint64_t{0} / 14}) {
      std::string bytes = good.bytes;
      std::memcpy(bytes.data() + field.at, &value, field.width);
      const size_t before = test::live_bytes();
      test::reset_peak();
      try {
        read_gguf(std::as_bytes(std::span(bytes)), "memory test");
      } catch (const Error&) {
      }
      EXPECT_LT(test::peak_bytes() - before, size_t{64} << 10) << field.name << " = " << value;
      EXPECT_EQ(test::live_bytes(), before);
    }
  }
}

TEST(ParseMemory, MostTensors) {
  // The shortest entries there are: one dimension, names of up to three bytes.
  test::RawGguf raw;
  constexpr uint64_t kCount = 131072;
  raw.header(kCount, 0);
  for (uint64_t i = 0; i < kCount; ++i) {
    std::string name;
    for (uint64_t n = i + 1; n > 0; n /= 90) name += static_cast<char>('!' + n % 90);
    raw.tensor(name, {1}, test::kTypeF32, i * 32);
  }
  const size_t header = raw.bytes.size();
  raw.pad().data(kCount * 32);
  const size_t used = gguf_peak(raw.bytes, true);
  RecordProperty("bytes_per_header_byte", static_cast<int>(used / header));
  EXPECT_LE(used, 16 * kMiB + 4 * header);
}

TEST(ParseMemory, MostKeys) {
  test::RawGguf raw;
  constexpr uint64_t kCount = 65536;
  raw.header(0, kCount);
  for (uint64_t i = 0; i < kCount; ++i)
    raw.key(fmt::format("{:x}", i), test::kU8).number("value", uint8_t{1});
  EXPECT_LE(gguf_peak(raw.bytes, true), 16 * kMiB + 4 * raw.bytes.size());
}

TEST(ParseMemory, LongVocabularyCostsNothing) {
  test::RawGguf raw;
  constexpr uint64_t kCount = 1 << 20;
  raw.header(0, 1).key("tokenizer.ggml.tokens", test::kArray).u32("type", test::kString);
  raw.u64("length", kCount);
  for (uint64_t i = 0; i < kCount; ++i) raw.text("string value", "t");
  EXPECT_LE(gguf_peak(raw.bytes, true), kMiB);
}

TEST(ParseMemory, SafetensorsWithMostTensors) {
  // Empty tensors make the shortest entries.
  std::string header = "{";
  for (int i = 0; i < 131072; ++i)
    header += fmt::format(R"({}"{:x}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
                          i == 0 ? "" : ",", i);
  header += "}";
  const size_t used = safetensors_peak(header, true);
  EXPECT_LE(used, 16 * kMiB + 4 * header.size());
  header.back() = ',';
  header += R"("more":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})";
  EXPECT_LE(safetensors_peak(header, false), 16 * kMiB + 4 * header.size());
}

TEST(ParseMemory, SafetensorsWithFloods) {
  const auto check = [](const std::string& header) {
    SCOPED_TRACE(header.substr(0, 40));
    EXPECT_LE(safetensors_peak(header, false), 16 * kMiB + 4 * header.size());
  };
  check("{" + std::string(30 * kMiB, '['));
  check("{" + std::string(30 * kMiB, ' '));
  check("{\"" + std::string(30 * kMiB, 'x'));
  check("{\"" + std::string(2 * kMiB - 10, 'x'));
  check("{\"" + std::string(2 * kMiB - 10, '\x01'));
  check("{\"a\":" + std::string(2 * kMiB - 10, '1'));
  std::string shape = "{\"a\":{\"shape\":[0";
  for (int i = 0; i < 10'000'000; ++i) shape += ",0";
  check(shape);
  std::string notes = "{\"__metadata__\":{\"\":\"\"";
  for (int i = 0; i < 2'000'000; ++i) notes += fmt::format(",\"{:x}\":\"\"", i);
  check(notes);
}

}  // namespace
}  // namespace weir
