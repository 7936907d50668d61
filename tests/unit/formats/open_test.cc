// What open_checkpoint() says to each thing a person may name: one sentence, never a crash.
#include "formats/open.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "formats/gguf_writer.h"
#include "formats/safetensors.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "unit/formats/expect_error.h"
#include "unit/formats/raw_gguf.h"

namespace weir {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using namespace std::string_view_literals;

class OpenTest : public ::testing::Test {
 protected:
  fs::path file(const std::string& name, std::string_view content) {
    write_file_atomically(temp_.path() / name, content);
    return temp_.path() / name;
  }
  void weights(const std::string& name, const char* tensor = "a") {
    const std::vector<TensorEntry> tensors = {
        {tensor, DType::f32, {4}, std::as_bytes(std::span(content_))}};
    write_safetensors(temp_.path() / name, tensors, {});
  }
  void refused(const fs::path& path, Code code, const std::vector<std::string>& words) {
    const auto error = test::error_of([&] { open_checkpoint(path); });
    ASSERT_TRUE(error.has_value()) << path << " was opened";
    EXPECT_EQ(error->code(), code) << error->what();
    for (const std::string& word : words) EXPECT_THAT(error->what(), ::testing::HasSubstr(word));
    const std::string what = error->what();
    EXPECT_EQ(what.find('\n'), std::string::npos) << "one line";
    EXPECT_NE(what.find(path.filename().string()), std::string::npos) << what;
  }
  void foreign(std::string_view content, const std::vector<std::string>& words,
               const std::string& name = "thing") {
    refused(file(name, content), Code::unsupported, words);
  }

  test::TempDir temp_;
  std::string content_ = std::string(16, 'x');
};

TEST_F(OpenTest, OpensGgufAndSafetensorsUnderAnyName) {
  EXPECT_EQ(open_checkpoint(file("model.bin", test::sample().bytes)).format(), "GGUF v3");
  weights("weights.dat");
  EXPECT_EQ(open_checkpoint(temp_.path() / "weights.dat").format(), "safetensors");
}

TEST_F(OpenTest, ForeignFiles) {
  foreign("Once upon a time", {"a text file"});
  foreign("Gr\xc3\xbc\xc3\x9f\x65\n", {"a text file"});
  foreign("GGUx", {"a text file"});
  foreign("{\"a\": 1}", {"a JSON file", "folder"}, "config.json");
  foreign("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", {"Git LFS pointer"});
  foreign("<!DOCTYPE html><html>", {"a web page"});
  foreign("PK\x03\x04 data.pkl", {"zip archive", "never opened", "safetensors"}, "model.gguf");
  foreign("\x80\x02}q\x00."sv, {"pickle", "never opened"}, "model.safetensors");
  foreign("\x80\x05\x95", {"pickle"});
  foreign("\x1f\x8b\x08", {"gzip"});
  foreign("lmgg\x01", {"old GGML"});
  foreign("tjgg\x03", {"old GGJT"});
  foreign("FUGG\x00\x00\x00\x03"sv, {"byte-swapped GGUF"});
  foreign("\x08\x08\x12\x07pytorch", {"ONNX"});
  foreign("\x08\x07\x3a\x10", {"ONNX"}, "model.onnx");
  foreign(
      "\x7f"
      "ELF\x02\x01\x01\x00"sv,
      {"7f 45 4c 46", "expected a GGUF file"});
  foreign(std::string(4096, '\0'), {"00 00 00 00"});
}

TEST_F(OpenTest, EmptyAndTruncated) {
  refused(file("empty.gguf", ""), Code::bad_format, {"is empty"});
  const std::string sample = test::sample().bytes;
  for (size_t cut = 1; cut < sample.size(); cut += 7)
    refused(file("cut.gguf", sample.substr(0, cut)), Code::bad_format, {"at byte"});
  weights("whole.safetensors");
  const std::string whole = read_file(temp_.path() / "whole.safetensors");
  refused(file("cut.safetensors", whole.substr(0, whole.size() - 1)), Code::bad_format,
          {"truncated"});
}

TEST_F(OpenTest, NotAFile) {
  refused(temp_.path() / "absent.gguf", Code::not_found, {"no such file"});
  refused("/dev/zero", Code::invalid_argument, {"not a file on disk"});
  const fs::path fifo = temp_.path() / "fifo.gguf";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  refused(fifo, Code::invalid_argument, {"not a file on disk"});
}

TEST_F(OpenTest, FolderWithTexts) {
  weights("model.safetensors");
  file("config.json", "{\"model_type\": \"llama\"}");
  file("tokenizer.json", "{}");
  file("chat_template.jinja", "{{ x }}");
  file("README.md", "not a document of the model");
  const Checkpoint checkpoint = open_checkpoint(temp_.path());
  EXPECT_EQ(checkpoint.path(), temp_.path());
  EXPECT_EQ(checkpoint.tensors().size(), 1u);
  ASSERT_NE(checkpoint.document("config.json"), nullptr);
  EXPECT_EQ(*checkpoint.document("config.json"), "{\"model_type\": \"llama\"}");
  EXPECT_EQ(*checkpoint.document("chat_template.jinja"), "{{ x }}");
  EXPECT_EQ(checkpoint.document("generation_config.json"), nullptr);
  EXPECT_EQ(checkpoint.documents().size(), 3u);
  // The file alone finds the texts beside it too.
  EXPECT_EQ(open_checkpoint(temp_.path() / "model.safetensors").documents().size(), 3u);
}

TEST_F(OpenTest, FolderWithShards) {
  weights("model-00001-of-00002.safetensors", "a");
  weights("model-00002-of-00002.safetensors", "b");
  file("config.json", "{}");
  refused(temp_.path(), Code::bad_format, {"2 .safetensors files", "index.json"});
  file("model.safetensors.index.json",
       R"({"weight_map":{"a":"model-00001-of-00002.safetensors",
                         "b":"model-00002-of-00002.safetensors"}})");
  EXPECT_EQ(open_checkpoint(temp_.path()).tensors().size(), 2u);
  EXPECT_EQ(open_checkpoint(temp_.path() / "model.safetensors.index.json").tensors().size(), 2u);
}

TEST_F(OpenTest, FolderWithOneOddlyNamedFile) {
  weights("pytorch_model.safetensors");
  file("config.json", "{}");
  EXPECT_EQ(open_checkpoint(temp_.path()).tensors().size(), 1u);
}

TEST_F(OpenTest, FoldersThatAreNoModel) {
  refused(temp_.path(), Code::unsupported, {"directory without config.json"});
  file("some.gguf", test::sample().bytes);
  refused(temp_.path(), Code::unsupported, {"name the file", "some.gguf"});
  file("config.json", "{}");
  refused(temp_.path(), Code::not_found, {"no .safetensors file"});
  file("pytorch_model.bin", "PK");
  refused(temp_.path(), Code::unsupported, {"pytorch_model.bin", "pickle", "never opened"});
}

TEST_F(OpenTest, OversizedDocument) {
  weights("model.safetensors");
  file("config.json", "{}");
  file("tokenizer.json", "");
  fs::resize_file(temp_.path() / "tokenizer.json", (uint64_t{64} << 20) + 1);
  const auto error = test::error_of([&] { open_checkpoint(temp_.path()); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), Code::limit_exceeded);
}

TEST_F(OpenTest, SharedModelFolder) {
  const auto folder = test::shared_data("weights/stories260K/hf");
  if (!folder) GTEST_SKIP() << "the shared test data is not here";
  const Checkpoint checkpoint = open_checkpoint(*folder);
  EXPECT_THAT(*checkpoint.document("config.json"), ::testing::HasSubstr("LlamaForCausalLM"));
  EXPECT_GT(checkpoint.parameters(), 250000);
  const auto other = test::shared_data("weights/stories260K/stories260K.bin");
  ASSERT_TRUE(other.has_value());
  const auto error = test::error_of([&] { open_checkpoint(*other); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), Code::unsupported) << error->what();
}

}  // namespace
}  // namespace weir
