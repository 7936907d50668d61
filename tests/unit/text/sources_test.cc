// Vocabularies from tokenizer.json and SentencePiece models against published vectors, and what
// these readers refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "support/shared_data.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"
#include "unit/text/vocabularies.h"

namespace weir::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> from_json_file(const std::string& name) {
  const auto path = shared_data("tokenizers/hf-json/" + name + ".tokenizer.json");
  if (!path) return nullptr;
  return Tokenizer::create(from_tokenizer_json(read_file(*path), ""));
}

VocabularySpec from_model_file(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  return from_sentencepiece_model(std::as_bytes(std::span(bytes)));
}

void expect_vectors(const Tokenizer& tokenizer, const std::string& name) {
  const auto inp = shared_data("tokenizers/ggml-vocab/ggml-vocab-" + name + ".gguf.inp");
  ASSERT_TRUE(inp.has_value());
  const auto vectors = read_vectors(*inp);
  ASSERT_EQ(vectors.size(), 46U);
  for (const Vector& vector : vectors) {
    EXPECT_EQ(joined(tokenizer.encode(vector.text, {.add_special = false})), joined(vector.ids))
        << testing::PrintToString(vector.text);
  }
}

TEST(TokenizerJson, Phi3EqualsTheGgufVectors) {
  const auto tokenizer = from_json_file("phi3-v");
  if (!tokenizer) GTEST_SKIP() << "the shared phi3-v.tokenizer.json is absent";
  expect_vectors(*tokenizer, "phi-3");
  EXPECT_EQ(tokenizer->encode("Hello"), (std::vector<int32_t>{1, 15043}));
}

TEST(TokenizerJson, GptNeoxEqualsTheGgufVectors) {
  const auto tokenizer = from_json_file("gpt-neox-20B");
  if (!tokenizer) GTEST_SKIP() << "the shared gpt-neox-20B.tokenizer.json is absent";
  expect_vectors(*tokenizer, "mpt");  // the same vocabulary and added tokens
}

/// The JSON has tokens for runs of spaces and tabs that the GGUF lacks, so texts without such runs.
TEST(TokenizerJson, Gpt2EqualsTheGgufVectors) {
  const auto tokenizer = from_json_file("gpt2");
  const auto inp = shared_data("tokenizers/ggml-vocab/ggml-vocab-gpt-2.gguf.inp");
  if (!tokenizer || !inp) GTEST_SKIP() << "the shared gpt2 vocabularies are absent";
  int compared = 0;
  for (const Vector& vector : read_vectors(*inp)) {
    if (vector.text.find("  ") != std::string::npos ||
        vector.text.find("\t\t") != std::string::npos)
      continue;
    ++compared;
    EXPECT_EQ(joined(tokenizer->encode(vector.text)), joined(vector.ids)) << vector.text;
  }
  EXPECT_GE(compared, 35);
}

TEST(TokenizerJson, WhisperEncodesItsParagraphWithItsTemplate) {
  const auto tokenizer = from_json_file("whisper");
  const auto path = shared_data("tokenizers/swift-vectors/whisper_large_v2_encoded.json");
  const auto suite = shared_data("tokenizers/swift-vectors/tokenizer_tests.json");
  if (!tokenizer || !path || !suite) GTEST_SKIP() << "the shared whisper files are absent";
  const auto wanted = json::parse(read_file(*path));
  EXPECT_EQ(joined(tokenizer->encode(wanted.at("text").get<std::string>())),
            joined(wanted.at("token_ids").get<std::vector<int32_t>>()));
  const auto tests = json::parse(read_file(*suite));
  for (const auto& item : tests.at("openai/whisper-large-v2")) {
    EXPECT_EQ(
        joined(tokenizer->encode(item.at("input").get<std::string>(), {.parse_special = true})),
        joined(item.at("encoded").at("input_ids").get<std::vector<int32_t>>()));
  }
}

TEST(TokenizerJson, TinyFileWithConfig) {
  const auto file = shared_data("tokenizers/swift-vectors/tokenizer.json");
  const auto config = shared_data("tokenizers/swift-vectors/tokenizer_config.json");
  if (!file || !config) GTEST_SKIP() << "the shared tokenizer.json is absent";
  // Its merges name tokens that the vocabulary lacks.
  const VocabularySpec spec = from_tokenizer_json(read_file(*file), read_file(*config));
  EXPECT_EQ(spec.bos, 0);
  EXPECT_EQ(spec.eos, 2);
  EXPECT_EQ(spec.unk, 3);
  EXPECT_EQ(spec.types.at(0), TokenType::control);
  EXPECT_THROW(Tokenizer::create(spec), Error);
}

json small_bpe() {
  return json::parse(
      R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "<x>": 4},
    "merges": ["a b"], "unk_token": null}, "added_tokens": [{"id": 4, "content": "<x>",
    "special": true}], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "decoder": {"type": "ByteLevel"}})");
}

std::string error_of(const json& file, std::string_view config = "") {
  try {
    Tokenizer::create(from_tokenizer_json(file.dump(), config));
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TokenizerJson, RefusesUnknownPartsByName) {
  EXPECT_EQ(error_of(small_bpe()), "accepted");
  const std::vector<std::pair<std::string, std::string>> parts = {
      {"/normalizer", R"({"type": "Nmt"})"},
      {"/pre_tokenizer", R"({"type": "UnicodeScripts"})"},
      {"/post_processor", R"({"type": "Pairs"})"},
      {"/decoder", R"({"type": "CTC"})"},
      {"/model/type", R"("WordLevel")"},
  };
  for (const auto& [place, value] : parts) {
    json file = small_bpe();
    file[json::json_pointer(place)] = json::parse(value);
    const json& set = file[json::json_pointer(place)];
    const std::string name = set.is_string() ? set : set.at("type");
    EXPECT_THAT(error_of(file), HasSubstr("'" + name + "'")) << place;
  }
}

TEST(TokenizerJson, RefusesWhatItCannotDoFaithfully) {
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"/model/dropout", "0.1"},
      {"/model/continuing_subword_prefix", R"("@@")"},
      {"/model/end_of_word_suffix", R"("</w>")"},
      {"/model/merges/0", R"(["a b", "c"])"},
      {"/model/merges/0", R"("ab")"},
      {"/model/merges/0", R"("a c")"},
      {"/model/vocab/a", "-1"},
      {"/model/vocab/a", "4294967296"},
      {"/model/vocab/a", "2147483647"},
      {"/added_tokens/0/single_word", "true"},
      {"/added_tokens/0/id", R"("4")"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "[a&&b]"}})"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "(a"}})"},
      {"/pre_tokenizer",
       R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Sometimes"})"},
      {"/pre_tokenizer/use_regex", "1"},
  };
  for (const auto& [place, value] : changes) {
    json file = small_bpe();
    file[json::json_pointer(place)] = json::parse(value);
    EXPECT_NE(error_of(file), "accepted") << place << " = " << value;
  }
  EXPECT_NE(error_of(small_bpe(), R"({"eos_token": "</s>"})"), "accepted");
  EXPECT_EQ(error_of(small_bpe(), R"({"eos_token": {"content": "<x>"}})"), "accepted");
  EXPECT_THROW(from_tokenizer_json("{", ""), Error);
  EXPECT_THROW(from_tokenizer_json("[]", ""), Error);
  EXPECT_THROW(from_tokenizer_json(std::string(100000, '['), ""), Error);
}

TEST(SentencePiece, AgreesWithTheLibrary) {
  const auto inp = shared_data("tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf.inp");
  const auto folder = shared_data("tokenizers");
  if (!inp || !folder) GTEST_SKIP() << "the shared SentencePiece models are absent";
  const auto texts = read_vectors(*inp);
  const auto vectors =
      json::parse(read_file(repository_file("tests/unit/text/sentencepiece_vectors.json")));
  int models = 0;
  for (const auto& [model, wanted] : vectors.at("ids").items()) {
    const auto tokenizer = Tokenizer::create(from_model_file(*folder / model));
    ++models;
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(joined(tokenizer->encode(texts[i].text)),
                joined(wanted.at(i).get<std::vector<int32_t>>()))
          << model << ": " << texts[i].text;
    }
  }
  EXPECT_EQ(models, 7);
}

TEST(SentencePiece, CutAnywhereIsRefusedOrReadButNeverMore) {
  const auto path = shared_data("tokenizers/sentencepiece/python/test/test_model.model");
  if (!path) GTEST_SKIP() << "the shared SentencePiece models are absent";
  const std::string bytes = read_file(*path);
  const size_t whole = from_model_file(*path).tokens.size();
  for (size_t size = 0; size < bytes.size(); size += size < 4096 ? 1 : 997) {
    try {
      const auto cut = std::as_bytes(std::span(bytes).first(size));
      EXPECT_LE(from_sentencepiece_model(cut).tokens.size(), whole);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::bad_format);
    }
  }
}

}  // namespace
}  // namespace weir::test
