// Published vectors: the ids that the models' own tokenizers give for tricky strings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/shared_data.h"
#include "unit/text/vocabularies.h"

namespace weir::test {
namespace {

class GgmlVectors : public testing::TestWithParam<const char*> {};

/// 46 strings a vocabulary, as Hugging Face's tokenizers encode them.
TEST_P(GgmlVectors, AgreeTokenForToken) {
  const std::string name = GetParam();
  const std::string file = "/ggml-vocab-" + name + ".gguf.inp";
  auto inp = shared_data("tokenizers/ggml-vocab" + file);
  if (!inp) inp = shared_data("tokenizers/ggml-vocab-extra" + file);
  const auto tokenizer = published_tokenizer(name);
  if (!inp || !tokenizer) GTEST_SKIP() << "the shared vocabulary of " << name << " is absent";
  const auto vectors = read_vectors(*inp);
  ASSERT_EQ(vectors.size(), 46U);
  for (const Vector& vector : vectors) {
    const auto ids = tokenizer->encode(vector.text, {.add_special = false});
    EXPECT_EQ(joined(ids), joined(vector.ids)) << "text: " << testing::PrintToString(vector.text);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GgmlVectors,
                         testing::Values("llama-spm", "phi-3", "gpt-2", "mpt", "falcon",
                                         "starcoder", "refact", "deepseek-llm", "deepseek-coder",
                                         "bert-bge", "llama-bpe", "qwen2", "deepseek-r1-qwen"),
                         [](const auto& param) {
                           std::string name = param.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

struct SwiftCase {
  const char* file;
  const char* vocabulary;
};

class SwiftVectors : public testing::TestWithParam<SwiftCase> {};

TEST_P(SwiftVectors, EncodesTheParagraph) {
  const auto [file, vocabulary] = GetParam();
  const auto path = shared_data("tokenizers/swift-vectors/" + std::string(file));
  const auto tokenizer = published_tokenizer(vocabulary);
  if (!path || !tokenizer) GTEST_SKIP() << "the shared vocabulary " << vocabulary << " is absent";
  const auto json = nlohmann::json::parse(read_file(*path));
  const auto text = json.at("text").get<std::string>();
  const auto wanted = json.at("token_ids").get<std::vector<int32_t>>();
  EXPECT_EQ(joined(tokenizer->encode(text)), joined(wanted));
  EXPECT_TRUE(json.contains("decoded_text"));
  if (tokenizer->kind() != TokenizerKind::wordpiece) {
    EXPECT_EQ(tokenizer->decode(wanted), text);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SwiftVectors,
                         testing::Values(SwiftCase{"gpt2_encoded_tokens.json", "gpt-2"},
                                         SwiftCase{"llama_3.2_encoded.json", "llama-bpe"},
                                         SwiftCase{"llama_encoded.json", "llama-spm"},
                                         SwiftCase{"falcon_encoded.json", "falcon"},
                                         SwiftCase{"bert_uncased_encoded.json", "bert-vocab"}),
                         [](const auto& param) {
                           std::string name = param.param.vocabulary;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

struct SuiteCase {
  const char* model;
  const char* vocabulary;
};

class SwiftSuite : public testing::TestWithParam<SuiteCase> {};

/// Edge cases that Hugging Face's Python tokenizers encoded, with special tokens.
TEST_P(SwiftSuite, EncodesAndDecodes) {
  const auto [model, vocabulary] = GetParam();
  const auto path = shared_data("tokenizers/swift-vectors/tokenizer_tests.json");
  const auto tokenizer = published_tokenizer(vocabulary);
  if (!path || !tokenizer) GTEST_SKIP() << "the shared vocabulary " << vocabulary << " is absent";
  const auto json = nlohmann::json::parse(read_file(*path)).at(model);
  for (const auto& item : json) {
    const auto text = item.at("input").get<std::string>();
    const auto wanted = item.at("encoded").at("input_ids").get<std::vector<int32_t>>();
    EXPECT_EQ(joined(tokenizer->encode(text, {.parse_special = true})), joined(wanted)) << text;
    // The decoded texts there were tidied up afterwards ("can ' t" to "can't", " !" to "!"), which
    // we do not do: byte-level text comes back as it was, BERT's is compared where there is no
    // quote.
    const auto decoded = tokenizer->decode(wanted);
    if (tokenizer->kind() != TokenizerKind::wordpiece) {
      EXPECT_EQ(decoded, text);
    } else if (text.find('\'') == std::string::npos) {
      EXPECT_EQ(decoded, item.at("decoded_without_special").get<std::string>());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SwiftSuite,
    testing::Values(SuiteCase{"bert-base-uncased", "bert-vocab"},
                    SuiteCase{"google-bert/bert-base-uncased", "bert-vocab"},
                    SuiteCase{"distilgpt2", "gpt-2"},
                    SuiteCase{"coreml-projects/Llama-2-7b-chat-coreml", "llama-spm"},
                    SuiteCase{"tiiuae/falcon-7b", "falcon"},
                    SuiteCase{"pcuenq/Llama-3.2-1B-Instruct-tokenizer", "llama-bpe"}),
    [](const auto& param) { return "case" + std::to_string(param.index); });

TEST(BertVectors, AllSquadQuestions) {
  const auto questions = shared_data("tokenizers/swift-vectors/question_tokens.json");
  const auto ids = shared_data("tokenizers/swift-vectors/tokenized_questions.json");
  const auto tokenizer = published_tokenizer("bert-vocab");
  if (!questions || !ids || !tokenizer) GTEST_SKIP() << "the shared BERT vectors are absent";
  const auto texts = nlohmann::json::parse(read_file(*questions));
  const auto wanted = nlohmann::json::parse(read_file(*ids));
  ASSERT_EQ(texts.size(), 10570U);
  ASSERT_EQ(wanted.size(), texts.size());
  size_t wrong = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto text = texts[i].at("original").get<std::string>();
    if (tokenizer->encode(text, {.add_special = false}) != wanted[i].get<std::vector<int32_t>>()) {
      if (++wrong <= 5) ADD_FAILURE() << text;
    }
  }
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace weir::test
