// Every family: a tiny random model, as GGUF and as a Hugging Face directory, against the logits of
// an independent float64 reference (tools/golden/make.py), and against itself in other batches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/runner.h"
#include "support/shared_data.h"

namespace weir {
namespace {

namespace fs = std::filesystem;
using Rows = std::vector<std::vector<float>>;

constexpr double kTolerance = 1e-4;  // of the largest |logit| of the row

fs::path data() { return test::repository_file("tests/golden/data"); }

std::vector<std::string> cases() {
  std::vector<std::string> names;
  if (fs::exists(data()))
    for (const auto& entry : fs::directory_iterator(data()))
      if (fs::exists(entry.path() / "golden.json")) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

class Golden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::ifstream in(folder() / "golden.json");
    golden_ = nlohmann::json::parse(in);
    ids_ = golden_["ids"].get<std::vector<int32_t>>();
  }
  fs::path folder() const { return data() / GetParam(); }

  void expect_golden(const Rows& rows) const {
    const auto positions = golden_["positions"].get<std::vector<size_t>>();
    for (size_t i = 0; i < positions.size(); ++i) {
      const auto expected = golden_["logits"][i].get<std::vector<double>>();
      const auto& found = rows.at(positions[i]);
      ASSERT_EQ(found.size(), expected.size());
      double largest = 0;
      for (const double value : expected) largest = std::max(largest, std::abs(value));
      double worst = 0;
      for (size_t j = 0; j < expected.size(); ++j)
        worst = std::max(worst, std::abs(static_cast<double>(found[j]) - expected[j]));
      EXPECT_LE(worst, kTolerance * largest) << "position " << positions[i];
    }
  }

  nlohmann::json golden_;
  std::vector<int32_t> ids_;
};

TEST_P(Golden, GgufMatchesTheReference) {
  const auto model = Model::load(folder() / "model.gguf");
  EXPECT_EQ(model->config().family, golden_["architecture"]);
  EXPECT_THAT(model->summary().unused, testing::IsEmpty());
  expect_golden(test::all_logits(model, ids_, ids_.size(), 2));
}

TEST_P(Golden, HuggingFaceDirectoryMatchesTheReference) {
  const auto model = Model::load(folder() / "hf");
  EXPECT_THAT(model->summary().unused, testing::IsEmpty());
  expect_golden(test::all_logits(model, ids_, ids_.size(), 2));
}

TEST_P(Golden, OneAnswerForEveryBatchAndThreadCount) {
  const auto model = Model::load(folder() / "model.gguf");
  for (const DType kv : {DType::f32, DType::f16, DType::bf16}) {
    const Rows whole = test::all_logits(model, ids_, ids_.size(), 1, kv);
    EXPECT_EQ(test::all_logits(model, ids_, 1, 1, kv), whole) << "token by token";
    EXPECT_EQ(test::all_logits(model, ids_, 7, 2, kv), whole) << "chunks of 7, 2 threads";
    EXPECT_EQ(test::all_logits(model, ids_, ids_.size(), 5, kv), whole) << "5 threads";
  }
}

TEST_P(Golden, CompanyInTheBatchChangesNothing) {
  const auto model = Model::load(folder() / "model.gguf");
  const auto count = static_cast<int64_t>(ids_.size());
  const Rows alone = test::all_logits(model, ids_, ids_.size(), 1);
  std::vector<int32_t> other(ids_.rbegin(), ids_.rend());
  const Rows other_alone = test::all_logits(model, other, other.size(), 1);

  test::Runner runner(model, 2, DType::f32, count, 2 * count, 2);
  Sequence a(runner.pool()), b(runner.pool());
  Rows mixed, other_mixed;
  // The first sequence in pieces of 5, the second in pieces of 3, together while both last.
  for (size_t i = 0, j = 0; i < ids_.size() || j < other.size();) {
    std::vector<std::pair<Sequence*, std::span<const int32_t>>> parts;
    const size_t n = std::min<size_t>(5, ids_.size() - i),
                 m = std::min<size_t>(3, other.size() - j);
    if (m > 0) parts.push_back({&b, std::span(other).subspan(j, m)});
    if (n > 0) parts.push_back({&a, std::span(ids_).subspan(i, n)});
    const auto rows = runner.step(parts);
    if (m > 0) other_mixed.insert(other_mixed.end(), rows.front().begin(), rows.front().end());
    if (n > 0) mixed.insert(mixed.end(), rows.back().begin(), rows.back().end());
    i += n;
    j += m;
  }
  EXPECT_EQ(mixed, alone);
  EXPECT_EQ(other_mixed, other_alone);
}

INSTANTIATE_TEST_SUITE_P(Families, Golden, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Golden);

TEST(GoldenData, IsThere) { EXPECT_GE(cases().size(), 17u) << "run tools/golden/make.py"; }

}  // namespace
}  // namespace weir
