// Reading honest GGUF files: the hand-written sample, the shared data, the writer's round trip,
// split models, and the verdicts of the shared malformed set.
#include "formats/gguf.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "formats/gguf_types.h"
#include "formats/gguf_writer.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "unit/formats/expect_error.h"
#include "unit/formats/inspect.h"
#include "unit/formats/raw_gguf.h"

namespace weir {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using ::testing::ElementsAre;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Gguf, ReadsTheSample) {
  const auto raw = test::sample();
  const Checkpoint checkpoint = read_gguf(raw.span(), "sample");
  EXPECT_EQ(checkpoint.format(), "GGUF v3");
  EXPECT_EQ(checkpoint.metadata().require<std::string_view>("general.architecture"), "llama");
  ASSERT_EQ(checkpoint.tensors().size(), 3u);
  EXPECT_EQ(checkpoint.parameters(), 4 + 15 + 64);
  EXPECT_EQ(checkpoint.tensor_bytes(), 16u + 30 + 36);
  const TensorEntry& b = checkpoint.require("b");
  EXPECT_EQ(b.type, DType::f16);
  EXPECT_THAT(b.dims, ElementsAre(3, 5));
  const size_t base = raw.bytes.size() - (64 + 36);
  EXPECT_EQ(text_of(b.data), raw.bytes.substr(base + 32, 30));
  EXPECT_EQ(text_of(checkpoint.require("c").data), raw.bytes.substr(base + 64, 36));
  EXPECT_EQ(checkpoint.find("d"), nullptr);
  expect_error(Code::bad_format, {"'d' is missing"}, [&] { checkpoint.require("d"); });
  test::inspect(checkpoint, raw.span());
}

TEST(Gguf, CheckpointSurvivesAMove) {
  const auto raw = test::sample();
  Checkpoint first = read_gguf(raw.span(), "sample");
  const Checkpoint second = std::move(first);
  EXPECT_EQ(second.require("a").elements(), 4);
  test::inspect(second, raw.span());
}

TEST(Gguf, EveryTypeHasOneIdAndBack) {
  for (const DTypeInfo& type : all_dtypes()) {
    EXPECT_EQ(dtype_of_gguf(gguf_id_of(type.type)), type.type);
    EXPECT_EQ(gguf_type_name(gguf_id_of(type.type)), type.name);
  }
  EXPECT_EQ(gguf_type_name(16), "IQ2_XXS");
  EXPECT_EQ(gguf_type_name(39), "MXFP4");
  EXPECT_EQ(gguf_type_name(9999), "");
}

TEST(Gguf, SharedFilesOpen) {
  std::vector<fs::path> files;
  for (const char* folder : {"gguf", "tokenizers/ggml-vocab"}) {
    const auto path = test::shared_data(folder);
    if (!path) GTEST_SKIP() << "the shared test data is not here";
    for (const auto& entry : fs::directory_iterator(*path))
      if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  }
  EXPECT_GE(files.size(), 17u);
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.string());
    const Checkpoint checkpoint = read_gguf(file);
    EXPECT_TRUE(checkpoint.metadata().contains("general.architecture"));
    ASSERT_EQ(checkpoint.files().size(), 1u);
    const auto bytes = checkpoint.files()[0]->bytes();
    test::inspect(checkpoint, bytes);
    const bool vocabulary_only = file.string().find("ggml-vocab") != std::string::npos;
    EXPECT_EQ(checkpoint.tensors().empty(), vocabulary_only);
    // Nothing is left over: the last tensor, padded, is the end of the file.
    if (!vocabulary_only) {
      const auto& last = checkpoint.tensors().back().data;
      const auto end = static_cast<size_t>(last.data() + last.size() - bytes.data());
      EXPECT_LE(end, bytes.size());
      EXPECT_LT(bytes.size() - end, 32u);
    }
  }
}

TEST(Gguf, Stories260K) {
  const auto path = test::shared_data("gguf/stories260K-f32.gguf");
  if (!path) GTEST_SKIP() << "the shared test data is not here";
  const Checkpoint checkpoint = read_gguf(*path);
  EXPECT_EQ(checkpoint.metadata().require<uint32_t>("llama.embedding_length"), 64u);
  EXPECT_THAT(checkpoint.require("token_embd.weight").dims, ElementsAre(64, 512));
  EXPECT_EQ(checkpoint.metadata().find("tokenizer.ggml.tokens")->strings("tokens").size(), 512u);
}

TEST(Gguf, VerdictsOfTheMalformedSet) {
  const auto folder = test::shared_data("gguf/malformed");
  if (!folder) GTEST_SKIP() << "the shared test data is not here";
  std::ifstream stream(*folder / "manifest.json");
  const auto manifest = nlohmann::json::parse(stream);
  EXPECT_GE(manifest.size(), 28u);
  for (const auto& row : manifest) {
    SCOPED_TRACE(row.dump());
    const fs::path file = *folder / row.at("file").get<std::string>();
    const auto error = test::error_of([&] {
      const Checkpoint checkpoint = read_gguf(file);
      test::inspect(checkpoint, checkpoint.files()[0]->bytes());
    });
    if (row.at("expect") == "accept") {
      EXPECT_FALSE(error.has_value()) << error->what();
    } else {
      ASSERT_TRUE(error.has_value());
      EXPECT_NE(error->code(), Code::internal) << error->what();
      EXPECT_THAT(error->what(), ::testing::HasSubstr(" at byte "));
    }
  }
}

MetadataBuilder some_metadata() {
  MetadataBuilder metadata;
  metadata.add("general.architecture", "llama");
  metadata.add("tokenizer.ggml.tokens", std::vector<std::string>{"<s>", "a", ""});
  return metadata;
}

std::string pattern(size_t bytes, int seed) {
  std::string out(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>(i * 31 + static_cast<size_t>(seed));
  return out;
}

TEST(GgufWriter, RoundTripOfEveryType) {
  GgufWriter writer(some_metadata());
  std::vector<std::string> contents;
  for (const DTypeInfo& type : all_dtypes())
    contents.push_back(pattern(static_cast<size_t>(type.block_bytes * 3 * 5), 7));
  size_t i = 0;
  for (const DTypeInfo& type : all_dtypes())
    writer.add_tensor(fmt::format("blk.{}.{}", i, type.name), type.type,
                      {type.block_elements * 3, 5}, std::as_bytes(std::span(contents[i]))),
        ++i;
  const test::TempDir temp;
  const fs::path path = temp.path() / "model.gguf";
  writer.write(path);
  EXPECT_EQ(fs::file_size(path), writer.file_bytes());
  EXPECT_EQ(writer.to_bytes().size(), writer.file_bytes());
  const Checkpoint checkpoint = read_gguf(path);
  EXPECT_EQ(checkpoint.file_bytes(), writer.file_bytes());
  ASSERT_EQ(checkpoint.tensors().size(), contents.size());
  i = 0;
  for (const TensorEntry& tensor : checkpoint.tensors()) {
    EXPECT_EQ(tensor.type, all_dtypes()[i].type);
    EXPECT_THAT(tensor.dims, ElementsAre(all_dtypes()[i].block_elements * 3, 5));
    EXPECT_EQ(text_of(tensor.data), contents[i]);
    EXPECT_TRUE(tensor.aligned_for(32));
    ++i;
  }
  EXPECT_EQ(checkpoint.metadata().require<std::vector<std::string>>("tokenizer.ggml.tokens")[1],
            "a");
}

TEST(GgufWriter, RewritesASharedFileByteForByte) {
  const auto path = test::shared_data("gguf/stories260K-q4_0.gguf");
  if (!path) GTEST_SKIP() << "the shared test data is not here";
  const Checkpoint checkpoint = read_gguf(*path);
  MetadataBuilder metadata;
  for (const auto& entry : checkpoint.metadata().entries()) metadata.add(entry.key, entry.value);
  GgufWriter writer(std::move(metadata));
  for (const TensorEntry& tensor : checkpoint.tensors())
    writer.add_tensor(tensor.name, tensor.type, tensor.dims, tensor.data);
  EXPECT_EQ(writer.to_bytes(), text_of(checkpoint.files()[0]->bytes()));
}

TEST(GgufWriter, OtherAlignment) {
  for (const uint32_t alignment : {8u, 64u, 65536u}) {
    MetadataBuilder metadata = some_metadata();
    metadata.add("general.alignment", alignment);
    GgufWriter writer(std::move(metadata));
    const std::string content = pattern(12, 1);
    for (const char* name : {"x", "y", "z"})
      writer.add_tensor(name, DType::f32, {3}, std::as_bytes(std::span(content)));
    const std::string bytes = writer.to_bytes();
    const Checkpoint checkpoint = read_gguf(std::as_bytes(std::span(bytes)), "aligned");
    for (const TensorEntry& tensor : checkpoint.tensors()) {
      EXPECT_EQ(text_of(tensor.data), content);
      EXPECT_EQ((reinterpret_cast<const char*>(tensor.data.data()) - bytes.data()) % alignment, 0);
    }
  }
  for (const uint32_t alignment : {0u, 1u, 3u, 24u, 131072u, 1u << 31}) {
    MetadataBuilder metadata;
    metadata.add("general.alignment", alignment);
    expect_error(Code::invalid_argument, {"general.alignment"}, [&] { GgufWriter{metadata}; });
  }
}

TEST(GgufWriter, StreamsInPieces) {
  GgufWriter writer(some_metadata());
  writer.add_tensor("x", DType::f32, {256, 4}, [](const ByteSink& sink) {
    for (int i = 0; i < 4; ++i) {
      const std::string row = pattern(1024, i);
      sink(std::as_bytes(std::span(row)));
    }
  });
  const std::string bytes = writer.to_bytes();
  const Checkpoint checkpoint = read_gguf(std::as_bytes(std::span(bytes)), "streamed");
  EXPECT_EQ(text_of(checkpoint.require("x").data.subspan(3 * 1024)), pattern(1024, 3));
}

TEST(GgufWriter, RefusesWhatTheReaderWouldRefuse) {
  const std::string content = pattern(64, 0);
  const auto data = std::as_bytes(std::span(content));
  GgufWriter writer(some_metadata());
  expect_error(Code::invalid_argument, {"1 to 63"},
               [&] { writer.add_tensor(std::string(64, 'n'), DType::f32, {16}, data); });
  expect_error(Code::invalid_argument, {"name"},
               [&] { writer.add_tensor("", DType::f32, {16}, data); });
  expect_error(Code::invalid_argument, {"'x'"},
               [&] { writer.add_tensor("x", DType::f32, {}, data); });
  expect_error(Code::invalid_argument, {"'x'"}, [&] {
    writer.add_tensor("x", DType::f32, {4, 0}, data);
  });
  expect_error(Code::invalid_argument, {"'x'"}, [&] {
    writer.add_tensor("x", DType::f32, {1, 1, 1, 1, 16}, data);
  });
  expect_error(Code::invalid_argument, {"blocks of 256"},
               [&] { writer.add_tensor("x", DType::q4_k, {255}, data); });
  expect_error(Code::invalid_argument, {"'x'"}, [&] {
    writer.add_tensor("x", DType::f32, {int64_t{1} << 40, int64_t{1} << 40}, data);
  });
  writer.add_tensor("x", DType::f32, {16}, data);
  writer.add_tensor("x", DType::f32, {16}, data);
  expect_error(Code::invalid_argument, {"'x' was added twice"}, [&] { writer.to_bytes(); });
}

TEST(GgufWriter, WrongAmountOfDataLeavesNoFile) {
  const test::TempDir temp;
  for (const size_t size : {0u, 63u, 65u}) {
    const std::string content = pattern(size, 0);
    GgufWriter writer(some_metadata());
    writer.add_tensor("x", DType::f32, {16}, std::as_bytes(std::span(content)));
    expect_error(Code::internal, {"'x'"}, [&] { writer.write(temp.path() / "model.gguf"); });
    EXPECT_TRUE(fs::is_empty(temp.path()));
  }
}

/// A split model of three files with two tensors each.
class SplitTest : public ::testing::Test {
 protected:
  struct Options {
    uint16_t number_offset = 0;  // added to split.no
    uint16_t count = 3;          // split.count
    int32_t tensors = 6;         // split.tensors.count
    bool same_name = false;      // one tensor name in two files
  };

  fs::path part(int number) const {
    return temp_.path() / fmt::format("tiny-{:05}-of-00003.gguf", number);
  }

  void write(const Options& options) {
    const std::string content = pattern(64, 3);
    for (int i = 0; i < 3; ++i) {
      MetadataBuilder metadata;
      if (i == 0) metadata.add("general.architecture", "llama");
      metadata.add("split.no", static_cast<uint16_t>(i + options.number_offset));
      metadata.add("split.count", options.count);
      metadata.add("split.tensors.count", options.tensors);
      GgufWriter writer(std::move(metadata));
      const auto data = std::as_bytes(std::span(content));
      writer.add_tensor(options.same_name ? "same" : fmt::format("t{}", 2 * i), DType::f32, {16},
                        data);
      writer.add_tensor(fmt::format("t{}", 2 * i + 1), DType::f32, {16}, data);
      writer.write(part(i + 1));
    }
  }

  test::TempDir temp_;
};

TEST_F(SplitTest, OpensFromAnyPart) {
  write({});
  for (const int number : {1, 2, 3}) {
    const Checkpoint checkpoint = read_gguf(part(number));
    EXPECT_EQ(checkpoint.files().size(), 3u);
    ASSERT_EQ(checkpoint.tensors().size(), 6u);
    EXPECT_EQ(checkpoint.metadata().require<std::string_view>("general.architecture"), "llama");
    std::vector<std::span<const std::byte>> areas;
    for (const auto& file : checkpoint.files()) areas.push_back(file->bytes());
    test::inspect(checkpoint, areas);
    EXPECT_EQ(text_of(checkpoint.require("t5").data), pattern(64, 3));
  }
}

TEST_F(SplitTest, RefusesMissingPart) {
  write({});
  fs::remove(part(2));
  expect_error(Code::not_found, {"tiny-00002-of-00003.gguf"}, [&] { read_gguf(part(1)); });
}

TEST_F(SplitTest, RefusesSwappedParts) {
  write({});
  fs::copy_file(part(3), part(2), fs::copy_options::overwrite_existing);
  expect_error(Code::bad_format, {"part 3 of 3", "part 2 of 3"}, [&] { read_gguf(part(1)); });
}

TEST_F(SplitTest, RefusesWrongNumbers) {
  write({.count = 4});
  expect_error(Code::bad_format, {"of 4", "of 3"}, [&] { read_gguf(part(1)); });
  write({.number_offset = 1});
  expect_error(Code::bad_format, {"part 2 of 3"}, [&] { read_gguf(part(1)); });
  write({.number_offset = 65535});
  expect_error(Code::bad_format, {"part 65536 of 3"}, [&] { read_gguf(part(1)); });
  write({.tensors = 7});
  expect_error(Code::bad_format, {"split.tensors.count is 7", "6 tensors"},
               [&] { read_gguf(part(1)); });
  write({.tensors = -1});
  expect_error(Code::bad_format, {"split.tensors.count"}, [&] { read_gguf(part(1)); });
}

TEST_F(SplitTest, RefusesOneNameInTwoParts) {
  write({.same_name = true});
  expect_error(Code::bad_format, {"'same' appears twice"}, [&] { read_gguf(part(1)); });
}

TEST_F(SplitTest, TooMuch) {
  test::RawGguf raw;
  raw.header(0, 2).key("split.no", test::kU16).number("no", uint16_t{0});
  raw.key("split.count", test::kU16).number("count", uint16_t{1025});
  const fs::path many = temp_.path() / "many-00001-of-01025.gguf";
  write_file_atomically(many, raw.bytes);
  expect_error(Code::limit_exceeded, {"1025 files, the limit is 1024"}, [&] { read_gguf(many); });
  for (uint16_t part = 0; part < 2; ++part) {
    test::RawGguf half;
    half.header(65537, 2).key("split.no", test::kU16).number("no", part);
    half.key("split.count", test::kU16).number("count", uint16_t{2});
    for (uint64_t i = 0; i < 65537; ++i)
      half.tensor(fmt::format("{}.{}", part, i), {8}, test::kTypeF32, i * 32);
    half.pad().data(65537 * 32);
    write_file_atomically(temp_.path() / fmt::format("half-0000{}-of-00002.gguf", part + 1),
                          half.bytes);
  }
  expect_error(Code::limit_exceeded, {"more than 131072 tensors"},
               [&] { read_gguf(temp_.path() / "half-00001-of-00002.gguf"); });
}

TEST_F(SplitTest, RefusesForeignName) {
  write({});
  const fs::path renamed = temp_.path() / "model.gguf";
  fs::rename(part(1), renamed);
  expect_error(Code::bad_format, {"one part of a split model", "-00001-of-00003"},
               [&] { read_gguf(renamed); });
}

}  // namespace
}  // namespace weir
