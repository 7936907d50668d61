// safetensors: honest files, the round trip, shards, and every rule of the format broken singly.
#include "formats/safetensors.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <functional>

#include "base/file.h"
#include "support/clock.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "unit/formats/expect_error.h"
#include "unit/formats/inspect.h"

namespace weir {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using ::testing::ElementsAre;

std::string with_header(std::string_view header, size_t data) {
  const uint64_t length = header.size();
  std::string out(reinterpret_cast<const char*>(&length), sizeof(length));
  out += header;
  for (size_t i = 0; i < data; ++i) out += static_cast<char>(i);
  return out;
}

Checkpoint read(const std::string& bytes) {
  Checkpoint checkpoint = read_safetensors(std::as_bytes(std::span(bytes)), "test");
  test::inspect(checkpoint, std::as_bytes(std::span(bytes)));
  return checkpoint;
}

void expect_refused(std::string_view header, size_t data, Code code,
                    const std::vector<std::string>& words) {
  SCOPED_TRACE(header.substr(0, 200));
  const std::string bytes = with_header(header, data);
  expect_error(code, words, [&] { read(bytes); });
}

constexpr std::string_view kGood = R"({"__metadata__":{"format":"pt"},)"
                                   R"("b":{"dtype":"F16","shape":[3],"data_offsets":[24,30]},)"
                                   R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}  )";

TEST(Safetensors, ReadsAnHonestFile) {
  const std::string bytes = with_header(kGood, 30);
  const Checkpoint checkpoint = read(bytes);
  EXPECT_EQ(checkpoint.format(), "safetensors");
  EXPECT_EQ(checkpoint.metadata().require<std::string_view>("format"), "pt");
  ASSERT_EQ(checkpoint.tensors().size(), 2u);
  EXPECT_EQ(checkpoint.tensors()[0].name, "a");  // order of the data
  EXPECT_EQ(checkpoint.require("a").type, DType::f32);
  EXPECT_THAT(checkpoint.require("a").dims, ElementsAre(3, 2));  // innermost first
  EXPECT_EQ(checkpoint.require("b").data.size(), 6u);
  EXPECT_EQ(static_cast<int>(checkpoint.require("b").data[0]), 24);
}

TEST(Safetensors, EmptyAndScalarTensors) {
  const std::string bytes =
      with_header(R"({"none":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},)"
                  R"("one":{"shape":[],"data_offsets":[0,8],"dtype":"F64"},)"
                  R"("end":{"dtype":"I8","shape":[3,0],"data_offsets":[8,8]}})",
                  8);
  const Checkpoint checkpoint = read(bytes);
  EXPECT_EQ(checkpoint.require("one").elements(), 1);
  EXPECT_EQ(checkpoint.require("none").elements(), 0);
  EXPECT_TRUE(read(with_header("{}", 0)).tensors().empty());
}

TEST(Safetensors, UnreadableTypesAreRefusedOnlyWhenNeeded) {
  const std::string bytes =
      with_header(R"({"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},)"
                  R"("w8":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[3,7]},)"
                  R"("a":{"dtype":"F32","shape":[1],"data_offsets":[7,11]}})",
                  11);
  const Checkpoint checkpoint = read(bytes);
  EXPECT_EQ(checkpoint.tensors().size(), 1u);
  EXPECT_EQ(static_cast<int>(checkpoint.require("a").data[0]), 7);
  EXPECT_EQ(checkpoint.unreadable().size(), 2u);
  expect_error(Code::unsupported, {"'w8'", "F8_E4M3", "F16"}, [&] { checkpoint.require("w8"); });
  expect_error(Code::unsupported, {"'mask'", "BOOL"}, [&] { checkpoint.find("mask"); });
  // Their layout counts like any other.
  expect_refused(R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,2]}})", 2, Code::bad_format,
                 {"'m'", "needs 3"});
  expect_refused(R"({"m":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},)"
                 R"("m":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                 2, Code::bad_format, {"'m' appears twice"});
  expect_refused(R"({"m":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},)"
                 R"("m":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}})",
                 2, Code::bad_format, {"'m' appears twice", "BOOL"});
}

TEST(Safetensors, SharedFilesOpen) {
  const auto folder = test::shared_data("weights/misc/safetensors-mini");
  const auto model = test::shared_data("weights/stories260K/hf/model.safetensors");
  if (!folder || !model) GTEST_SKIP() << "the shared test data is not here";
  const Checkpoint four = read_safetensors(*folder / "tensor-4d-float32.safetensors");
  EXPECT_THAT(four.require("embedding").dims, ElementsAre(3, 1, 3, 2));
  EXPECT_EQ(read_safetensors(*folder / "tensor-1d-int32.safetensors").require("embedding").type,
            DType::i32);
  EXPECT_EQ(read_safetensors(*folder / "tensor-2d-float64.safetensors").require("embedding").type,
            DType::f64);
  EXPECT_EQ(read_safetensors(*folder / "tensor-3d-float32.safetensors").parameters(), 12);
  const Checkpoint stories = read_safetensors(*model);
  EXPECT_THAT(stories.require("model.layers.0.mlp.down_proj.weight").dims, ElementsAre(172, 64));
  test::inspect(stories, stories.files()[0]->bytes());
}

TEST(Safetensors, TruncationAtEveryByte) {
  const std::string bytes = with_header(kGood, 30);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    const auto error = test::error_of([&] { read(bytes.substr(0, cut)); });
    ASSERT_TRUE(error.has_value()) << "cut at " << cut;
    EXPECT_EQ(error->code(), Code::bad_format);
  }
  expect_error(Code::bad_format, {"1 bytes after the last tensor"}, [&] { read(bytes + "x"); });
}

TEST(Safetensors, EveryByteChanged) {
  const std::string good = with_header(kGood, 30);
  for (size_t at = 0; at < good.size(); ++at) {
    for (int change = 1; change < 256; change += 2) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      const auto error = test::error_of([&] { read(bytes); });
      if (error) {
        EXPECT_NE(error->code(), Code::internal) << error->what();
      }
    }
  }
}

TEST(Safetensors, HeaderLength) {
  for (const uint64_t length :
       {~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 32, uint64_t{500}}) {
    std::string bytes = with_header(kGood, 30);
    bytes.replace(0, 8, reinterpret_cast<const char*>(&length), 8);
    expect_error(Code::bad_format, {"header length at byte 0"}, [&] { read(bytes); });
  }
  std::string big = with_header("", 0);
  const uint64_t length = (uint64_t{32} << 20) + 1;
  big.replace(0, 8, reinterpret_cast<const char*>(&length), 8);
  big.resize(8 + length, ' ');
  expect_error(Code::limit_exceeded, {"the limit is 33554432"}, [&] { read(big); });
}

struct Broken {
  std::string_view header;
  size_t data;
  Code code;
  std::vector<std::string> words;
};

TEST(Safetensors, EveryRuleBrokenSingly) {
  const auto bad = Code::bad_format;
  const std::vector<Broken> rows = {
      {R"([])", 0, bad, {"header at byte 8", "'{'"}},
      {R"( {})", 0, bad, {"header at byte 8"}},
      {"", 0, bad, {"header"}},
      {R"({)", 0, bad, {"not valid JSON", "at byte"}},
      {R"({}x)", 0, bad, {"not valid JSON"}},
      {R"({}{})", 0, bad, {"not valid JSON"}},
      {std::string_view("{}\0garbage", 10), 0, bad, {"NUL", "at byte 10"}},
      {R"({"a":1})", 0, bad, {"'a'", "number"}},
      {R"({"a":[1]})", 0, bad, {"'a'", "array"}},
      {R"({"a":null})", 0, bad, {"'a'", "null"}},
      {R"({"a":{}})", 0, bad, {"'a'", "lacks dtype"}},
      {R"({"a":{"dtype":"F32"}})", 0, bad, {"'a'", "lacks shape"}},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, bad, {"'a'", "lacks data_offsets"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4, bad, {"'x'"}},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4,
       bad,
       {"dtype appears twice"}},
      {R"({"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})",
       4,
       bad,
       {"shape appears twice"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]}})",
       4,
       bad,
       {"data_offsets appears twice"}},
      {R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
       0,
       bad,
       {"'a' appears twice"}},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, bad, {"__metadata__", "appears twice"}},
      {R"({"__metadata__":{"k":"v","k":"w"}})", 0, bad, {"'k' appears twice"}},
      {R"({"__metadata__":{"k":1}})", 0, bad, {"__metadata__", "number"}},
      {R"({"__metadata__":{"k":{}}})", 0, bad, {"__metadata__", "object"}},
      {R"({"__metadata__":"k"})", 0, bad, {"__metadata__", "string"}},
      {R"({"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, bad, {"name"}},
      {R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4, bad, {"'F33'"}},
      {R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}})", 4, bad, {"'a'", "number"}},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, bad, {"negative"}},
      {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, bad, {"fraction"}},
      {R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", 4, bad, {"string"}},
      {R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4, bad, {"array"}},
      {R"({"a":{"dtype":"F32","shape":{},"data_offsets":[0,4]}})", 4, bad, {"object"}},
      {R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4, bad, {"number"}},
      {R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})",
       4,
       bad,
       {"63 bits"}},
      {R"({"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}})",
       4,
       bad,
       {"fraction"}},
      {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
       4,
       Code::limit_exceeded,
       {"more than 8 dimensions"}},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
       0,
       bad,
       {"'a'", "more than 2^63"}},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})",
       0,
       bad,
       {"more than 2^63"}},
      {R"({"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})",
       0,
       bad,
       {"more than 2^63"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,3]}})", 3, bad, {"span 3 bytes"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", 8, bad, {"span 8", "needs 4"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, bad, {"[4, 0]"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, bad, {"1 numbers"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[]}})", 4, bad, {"0 numbers"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}})",
       4,
       bad,
       {"more than 2 numbers"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, bad, {"begin at 0"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
       12,
       bad,
       {"'b'", "begin at 4"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
       6,
       bad,
       {"'b'", "begin at 4"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4,
       bad,
       {"'b'", "begin at 4"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, bad, {"truncated"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, bad, {"1 bytes after"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551615]}})",
       4,
       bad,
       {"begin at 0"}},
      {"{\"\xff\":{}}", 0, bad, {"not valid JSON"}},
      {R"({"a":tru})", 0, bad, {"not valid JSON"}},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},})", 4, bad, {"not valid JSON"}},
      {R"({/**/})", 0, bad, {"not valid JSON"}},
  };
  for (const Broken& row : rows) expect_refused(row.header, row.data, row.code, row.words);
}

TEST(Safetensors, Polyglots) {
  // A zip or program behind the tensors, or in a hole between them, is not accepted.
  const std::string good = with_header(kGood, 30);
  for (const std::string_view tail : {"PK\x05\x06",
                                      "\x7f"
                                      "ELF",
                                      "\n"})
    expect_error(Code::bad_format, {"after the last tensor"},
                 [&] { read(good + std::string(tail)); });
}

TEST(Safetensors, DeepNestingIsRefusedAtOnce) {
  for (const char open : {'[', '{'}) {
    const std::string bytes = with_header("{" + std::string(1'000'000, open), 0);
    const double seconds = test::least_seconds(1, [&] {
      expect_error(Code::limit_exceeded, {"nested deeper than 8", "at byte 16"},
                   [&] { read(bytes); });
    });
    EXPECT_LT(seconds, test::allowed_seconds(0.05));
  }
  std::string closed = R"({"a":)";
  for (int i = 0; i < 300'000; ++i) closed += R"({"a":)";
  expect_refused(closed, 0, Code::limit_exceeded, {"nested deeper"});
}

TEST(Safetensors, LongTokensAreRefused) {
  expect_refused("{\"" + std::string(3 << 20, 'x') + "\":1}", 0, Code::limit_exceeded,
                 {"one string or number"});
  expect_refused("{\"a\":{\"shape\":[" + std::string(3 << 20, '1') + "]}}", 0, Code::limit_exceeded,
                 {"one string or number"});
  expect_refused("{\"" + std::string(1025, 'x') + "\":{}}", 0, Code::bad_format, {"1 to 1024"});
}

TEST(Safetensors, RoundTrip) {
  const test::TempDir temp;
  const std::string content(48, 'c');
  const auto bytes = std::as_bytes(std::span(content));
  const std::vector<TensorEntry> tensors = {
      {"half", DType::f16, {3}, bytes.first(6)},
      {"matrix", DType::f32, {3, 4}, bytes},
      {"brain", DType::bf16, {1, 5}, bytes.first(10)},
      {"quote\"d \xc3\xa4", DType::i64, {2}, bytes.first(16)},
      {"none", DType::f32, {0}, {}},
  };
  const fs::path path = temp.path() / "model.safetensors";
  write_safetensors(path, tensors, {{"format", "pt"}, {"note", "ä \n"}});
  const Checkpoint checkpoint = read_safetensors(path);
  ASSERT_EQ(checkpoint.tensors().size(), tensors.size());
  EXPECT_EQ(checkpoint.metadata().require<std::string_view>("note"), "ä \n");
  for (const TensorEntry& tensor : tensors) {
    const TensorEntry& again = checkpoint.require(tensor.name);
    EXPECT_EQ(again.type, tensor.type);
    EXPECT_EQ(again.dims, tensor.dims);
    EXPECT_TRUE(std::ranges::equal(again.data, tensor.data));
    EXPECT_TRUE(again.aligned_for(static_cast<size_t>(info(tensor.type).block_bytes)));
  }
}

TEST(Safetensors, WriterRefuses) {
  const test::TempDir temp;
  const fs::path path = temp.path() / "x";
  const std::string content(48, 'c');
  const auto bytes = std::as_bytes(std::span(content));
  using Entries = std::vector<TensorEntry>;
  for (const Entries& tensors :
       {Entries{{"a", DType::f32, {2}, bytes}}, Entries{{"a", DType::q8_0, {32}, bytes.first(34)}},
        Entries{{"a", DType::f32, {2}, bytes.first(8)}, {"a", DType::f32, {2}, bytes.first(8)}},
        Entries{{"__metadata__", DType::f32, {2}, bytes.first(8)}}})
    expect_error(Code::invalid_argument, {}, [&] { write_safetensors(path, tensors, {}); });
  EXPECT_TRUE(fs::is_empty(temp.path()));
}

/// Two shards "a" (in one) and "b", "c" (in two) and an index.
class ShardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_safetensors(folder_ / "one.safetensors", std::vector<TensorEntry>{entry("a")}, {});
    write_safetensors(folder_ / "two.safetensors", std::vector<TensorEntry>{entry("b"), entry("c")},
                      {});
  }
  TensorEntry entry(const char* name) const {
    return {name, DType::f32, {4}, std::as_bytes(std::span(content_))};
  }
  Checkpoint open(std::string_view index) {
    write_file_atomically(folder_ / "model.safetensors.index.json", index);
    return read_safetensors(folder_ / "model.safetensors.index.json");
  }
  void expect_refused(std::string_view index, Code code, const std::vector<std::string>& words) {
    SCOPED_TRACE(index);
    expect_error(code, words, [&] { open(index); });
  }

  test::TempDir temp_;
  fs::path folder_ = temp_.path();
  std::string content_ = std::string(16, 'x');
};

TEST_F(ShardTest, Opens) {
  const Checkpoint checkpoint =
      open(R"({"metadata":{"total_size":48,"x":[null,{"y":[1,-1,0.5,true]}]},
               "weight_map":{"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}})");
  EXPECT_EQ(checkpoint.files().size(), 2u);
  EXPECT_EQ(checkpoint.tensors().size(), 3u);
  EXPECT_EQ(checkpoint.require("c").data.size(), 16u);
}

TEST_F(ShardTest, UnlistedTensorOfAListedFileIsThere) {
  EXPECT_EQ(open(R"({"weight_map":{"b":"two.safetensors"}})").tensors().size(), 2u);
}

TEST_F(ShardTest, UnreadableTensorsInShards) {
  const std::string shard =
      with_header(R"({"m":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", 1);
  write_file_atomically(folder_ / "one.safetensors", shard);
  const std::string index =
      R"({"weight_map":{"m":"one.safetensors","b":"two.safetensors","c":"two.safetensors"}})";
  EXPECT_EQ(open(index).unreadable().size(), 1u);
  write_file_atomically(folder_ / "two.safetensors", shard);
  expect_refused(index, Code::bad_format, {"'m' stands in two.safetensors"});
  expect_refused(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})",
                 Code::bad_format, {"'m' appears twice"});
}

TEST_F(ShardTest, TooMuch) {
  std::string files = R"({"weight_map":{"a":"one.safetensors")";
  for (int i = 0; i < 1024; ++i) files += fmt::format(R"(,"{}":"{}.safetensors")", i, i);
  expect_refused(files + "}}", Code::limit_exceeded, {"1025 files, the limit is 1024"});
  std::string tensors = R"({"weight_map":{"a":"one.safetensors")";
  for (int i = 0; i < 131072; ++i) tensors += fmt::format(R"(,"{}":"one.safetensors")", i);
  expect_refused(tensors + "}}", Code::limit_exceeded, {"more than 131072 tensors"});
}

TEST_F(ShardTest, BrokenIndexes) {
  const auto bad = Code::bad_format;
  expect_refused("", bad, {"not valid JSON"});
  expect_refused("[]", bad, {"array"});
  expect_refused("{}", bad, {"no weight_map"});
  expect_refused(R"({"weight_map":[]})", bad, {"no weight_map"});
  expect_refused(R"({"weight_map":{"a":1}})", bad, {"weight_map"});
  expect_refused(R"({"weight_map":{"a":{}}})", bad, {"weight_map", "object"});
  expect_refused(R"({"weight_map":{"a":"one.safetensors","a":"one.safetensors"}})", bad,
                 {"'a' appears twice"});
  expect_refused(R"({"weight_map":{"a":"one.safetensors"},"weight_map":{}})", bad,
                 {"appears twice"});
  expect_refused(R"({"weight_map":{"a":"one.safetensors","d":"one.safetensors"}})", bad,
                 {"'d' is not in one.safetensors"});
  expect_refused(
      R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors","c":"one.safetensors"}})", bad,
      {"'c'"});
  expect_refused(R"({"weight_map":{"a":"three.safetensors"}})", Code::not_found,
                 {"three.safetensors"});
  expect_refused(std::string(1'000'000, '['), Code::limit_exceeded, {"nested deeper than 8"});
  for (const char* name :
       {"../one.safetensors", "/etc/one.safetensors", "a/one.safetensors", "..\\\\one.safetensors",
        ".one.safetensors", "", "one.bin", "one\\u0000.safetensors"})
    expect_refused(fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", name), bad,
                   {"not a plain file name"});
}

TEST_F(ShardTest, OneNameInTwoShards) {
  write_safetensors(folder_ / "two.safetensors", std::vector<TensorEntry>{entry("a")}, {});
  expect_refused(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})",
                 Code::bad_format, {"'a' stands in two.safetensors"});
  expect_refused(R"({"weight_map":{"b":"two.safetensors"}})", Code::bad_format,
                 {"'b' is not in two.safetensors"});
}

}  // namespace
}  // namespace weir
