// Trained weights: stories260K against its published greedy ids, logits and loss (golden.json of
// the shared test data, computed with numpy in float64 over the same files).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/runner.h"
#include "support/shared_data.h"

namespace weir {
namespace {

constexpr int64_t kContext = 512;

nlohmann::json golden() {
  const auto path = test::shared_data("weights/stories260K/golden.json");
  if (!path) return {};
  std::ifstream in(*path);
  return nlohmann::json::parse(in);
}

std::shared_ptr<const Model> model_at(const char* relative) {
  const auto path = test::shared_data(relative);
  return path ? Model::load(*path) : nullptr;
}

/// The token with the largest logit, the lowest id of equals.
int32_t best(const std::vector<float>& logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::vector<int32_t> greedy(const std::shared_ptr<const Model>& model, DType kv_type, int count) {
  test::Runner runner(model, 1, kv_type, kContext, 1);
  Sequence sequence(runner.pool());
  std::vector<int32_t> ids;
  int32_t next = 1;  // BOS
  for (int i = 0; i < count; ++i) {
    const std::vector<int32_t> one = {next};
    next = best(runner.logits(sequence, one, 1)[0]);
    ids.push_back(next);
  }
  return ids;
}

struct Greedy {
  const char* path;
  DType kv_type;
};
class StoriesGreedy : public testing::TestWithParam<Greedy> {};

TEST_P(StoriesGreedy, GivesThePublishedIds) {
  const auto model = model_at(GetParam().path);
  if (model == nullptr) GTEST_SKIP() << "shared test data is not here (WEIR_SHARED)";
  EXPECT_EQ(greedy(model, GetParam().kv_type, 256),
            golden()["greedy_256_from_BOS"].get<std::vector<int32_t>>());
}

INSTANTIATE_TEST_SUITE_P(Files, StoriesGreedy,
                         testing::Values(Greedy{"gguf/stories260K-f32.gguf", DType::f32},
                                         Greedy{"gguf/stories260K-f32.gguf", DType::f16},
                                         Greedy{"gguf/stories260K-f16.gguf", DType::f32},
                                         Greedy{"weights/stories260K/hf", DType::f32}),
                         [](const auto& test) {
                           std::string name = test.param.path + std::string("_kv_") +
                                              std::string(weir::info(test.param.kv_type).name);
                           std::replace_if(
                               name.begin(), name.end(),
                               [](char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

class StoriesLogits : public testing::TestWithParam<const char*> {};

TEST_P(StoriesLogits, MatchAfterFourTokens) {
  const auto model = model_at(GetParam());
  if (model == nullptr) GTEST_SKIP() << "shared test data is not here (WEIR_SHARED)";
  const auto expected = golden()["logits_after_tokens_1_403_407_261"].get<std::vector<double>>();
  const std::vector<int32_t> ids = {1, 403, 407, 261};
  const auto found = test::all_logits(model, ids, 4, 2).back();
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(static_cast<double>(found[i]), expected[i], 1e-4 * largest) << i;
}

INSTANTIATE_TEST_SUITE_P(Files, StoriesLogits,
                         testing::Values("gguf/stories260K-f32.gguf", "weights/stories260K/hf"),
                         [](const auto& test) {
                           return std::string(test.param).find("gguf") == 0 ? "gguf" : "hf";
                         });

/// Token ids of the first 100 stories, each with BOS, cut at 512.
std::vector<std::vector<int32_t>> stories() {
  const auto text_path = test::shared_data("text/tinystories-2M.txt");
  const auto model = model_at("gguf/stories260K-f32.gguf");
  if (!text_path || model == nullptr) return {};
  std::ifstream in(*text_path);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::string separator = "<|endoftext|>";
  std::vector<std::vector<int32_t>> list;
  for (size_t begin = 0; list.size() < 100;) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    std::string story = text.substr(begin, end - begin);
    const char* const blank = " \t\r\n";
    story.erase(0, std::min(story.find_first_not_of(blank), story.size()));
    story.erase(story.find_last_not_of(blank) + 1);
    auto ids = model->tokenizer()->encode(story);
    if (ids.size() > 512) ids.resize(512);
    list.push_back(std::move(ids));
    if (end == text.size()) break;
    begin = end + separator.size();
  }
  return list;
}

double loss(const std::vector<float>& logits, int32_t target) {
  const auto largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float value : logits) sum += std::exp(static_cast<double>(value) - largest);
  return std::log(sum) + largest - static_cast<double>(logits[static_cast<size_t>(target)]);
}

struct Loss {
  const char* file;
  double tolerance;  // absolute, nats a token
};
class StoriesLoss : public testing::TestWithParam<Loss> {};

TEST_P(StoriesLoss, IsThePublishedOne) {
  const auto model = model_at((std::string("gguf/") + GetParam().file).c_str());
  const auto texts = stories();
  if (model == nullptr || texts.empty())
    GTEST_SKIP() << "shared test data is not here (WEIR_SHARED)";
  const nlohmann::json expected = golden();
  EXPECT_EQ(texts[0], expected["first_story_ids"].get<std::vector<int32_t>>());
  test::Runner runner(model, 2, DType::f32, kContext, kContext);
  double total = 0;
  int64_t scored = 0;
  for (const auto& ids : texts) {
    Sequence sequence(runner.pool());
    const auto rows = runner.logits(sequence, std::span(ids).first(ids.size() - 1), kContext);
    for (size_t i = 0; i < rows.size(); ++i) total += loss(rows[i], ids[i + 1]);
    scored += static_cast<int64_t>(rows.size());
  }
  EXPECT_EQ(scored, expected["tokens_scored"].get<int64_t>());
  const double per_token = total / static_cast<double>(scored);
  const double published = expected["nats_per_token"][GetParam().file].get<double>();
  RecordProperty("nats_per_token", std::to_string(per_token));
  EXPECT_NEAR(per_token, published, GetParam().tolerance);
}

INSTANTIATE_TEST_SUITE_P(Files, StoriesLoss,
                         testing::Values(Loss{"stories260K-f32.gguf", 1e-4},
                                         Loss{"stories260K-q8_0.gguf", 0.005 * 1.407983},
                                         Loss{"stories260K-q4_0.gguf", 0.005 * 1.501418}),
                         [](const auto& test) {
                           const std::string file = test.param.file;
                           return file.substr(12, file.find('.') - 12);
                         });

}  // namespace
}  // namespace weir
