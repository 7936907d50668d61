// What the types of the KV cache cost on trained weights: loss of the embedded model over the
// TinyStories text, in windows of its whole context. Limits against F16: perplexity within 0.1 %
// for Q8_0; loss within 1 % and perplexity within 2 % for Q4_0 (2.06 % without differences).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "support/runner.h"
#include "support/shared_data.h"

namespace weir {
namespace {

constexpr int64_t kWindow = 512;
constexpr size_t kWindows = 40;

double loss(const std::vector<float>& logits, int32_t target) {
  const auto largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float value : logits) sum += std::exp(static_cast<double>(value) - largest);
  return std::log(sum) + largest - static_cast<double>(logits[static_cast<size_t>(target)]);
}

/// Nats a token over the windows.
double mean_loss(const std::shared_ptr<const Model>& model, const std::vector<int32_t>& ids,
                 DType type) {
  test::Runner runner(model, 2, type, kWindow, kWindow);
  double total = 0;
  int64_t scored = 0;
  for (size_t begin = 0; begin + kWindow <= ids.size(); begin += kWindow) {
    const std::span<const int32_t> window(ids.data() + begin, kWindow);
    Sequence sequence(runner.pool());
    const auto rows = runner.logits(sequence, window.first(kWindow - 1), kWindow);
    for (size_t i = 0; i < rows.size(); ++i) total += loss(rows[i], window[i + 1]);
    scored += static_cast<int64_t>(rows.size());
  }
  return total / static_cast<double>(scored);
}

TEST(KvTypes, QuantisedOnesKeepThePerplexity) {
  const auto text_path = test::shared_data("text/tinystories-2M.txt");
  if (!text_path) GTEST_SKIP() << "shared test data is not here (WEIR_SHARED)";
  const auto model = Model::load(test::repository_file("models/pocket.gguf"));
  std::ifstream in(*text_path);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  text.resize(std::min<size_t>(text.size(), 200'000));
  auto ids = model->tokenizer()->encode(text);
  ASSERT_GE(ids.size(), kWindows * kWindow);
  ids.resize(kWindows * kWindow);
  std::map<DType, double> nats;
  for (const DType type : {DType::f32, DType::f16, DType::q8_0, DType::q4_0}) {
    nats[type] = mean_loss(model, ids, type);
    RecordProperty(std::string(info(type).name), std::to_string(nats[type]));
    std::printf("KV %s: %.6f nats/token, perplexity %.4f\n", std::string(info(type).name).c_str(),
                nats[type], std::exp(nats[type]));
  }
  const auto more = [&](DType type) { return std::exp(nats[type] - nats[DType::f16]) - 1; };
  EXPECT_LT(std::abs(more(DType::f32)), 0.001);
  EXPECT_LT(std::abs(more(DType::q8_0)), 0.001);
  // Heads of 32 are the hardest for four bits: an error in a score averages over 32 numbers only.
  EXPECT_LT(std::abs(nats[DType::q4_0] / nats[DType::f16] - 1), 0.01);
  EXPECT_LT(std::abs(more(DType::q4_0)), 0.02);
}

TEST(KvTypes, HeadsThatDoNotFitAreRefused) {
  const auto path = test::shared_data("gguf/stories260K-f32.gguf");
  if (!path) GTEST_SKIP() << "shared test data is not here (WEIR_SHARED)";
  const auto model = Model::load(*path);  // heads of 8
  for (const DType type : {DType::q8_0, DType::q4_0}) {
    try {
      Decoder::kv_layout(model->config(), type);
      ADD_FAILURE() << "taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unsupported);
      EXPECT_NE(std::string(error.what()).find("use --kv-type f16"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace weir
