// Benchmark rows of the embedded model: names, figures and profiles that fit together; no speeds.
#include "lab/benchmark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "lab/embedded_model.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

BenchmarkOptions small() {
  BenchmarkOptions options;
  options.prompt_tokens = {24};
  options.generated_tokens = {4};
  options.depths = {0, 32};
  options.batches = {1, 3};
  options.repeats = 1;
  options.threads = 2;
  options.profile = true;
  return options;
}

TEST(Benchmark, RowsForEachLengthDepthAndBatch) {
  int last = 0, steps = 0;
  const auto report = run_benchmark(load_embedded_model(), small(), [&](int step, int all, auto&&) {
    EXPECT_GE(step, last);
    last = step;
    steps = all;
  });
  EXPECT_EQ(last, steps);
  EXPECT_GT(report.model_bytes, 1'000'000);
  std::vector<std::string> names;
  for (const BenchmarkRow& row : report.rows) {
    names.push_back(row.test);
    EXPECT_GT(row.tokens_per_second.median, 0) << row.test;
    EXPECT_GT(row.share_of_ceiling, 0) << row.test;
    EXPECT_GT(row.share_of_best_ceiling, 0) << row.test;
    EXPECT_LE(row.ceiling_per_second, row.best_ceiling_per_second) << row.test;
    double shares = 0;
    for (const OpShare& share : row.profile) {
      EXPECT_GE(share.seconds, 0) << row.test << " " << share.op;
      shares += share.share;
    }
    EXPECT_NEAR(shares, 1.0, 1e-9) << row.test;
  }
  EXPECT_THAT(names, ElementsAre("pp24", "tg4", "tg4x3", "pp24@32", "tg4@32", "tg4x3@32"));

  const auto json = nlohmann::json::parse(report_json(report));
  EXPECT_EQ(json["rows"][5]["depth"], 32);
  EXPECT_EQ(json["rows"][5]["batch"], 3);
  EXPECT_EQ(json["rows"][0]["profile"][2]["op"], "matmul");
  EXPECT_THAT(report_table(report), HasSubstr("matmul "));
  EXPECT_THAT(report_markdown(report), HasSubstr("\ntg4x3@32: "));
  EXPECT_THAT(report_csv(report), HasSubstr("\ntg4x3@32,"));
}

TEST(Benchmark, DepthsAreWholePages) {
  BenchmarkOptions options = small();
  options.depths = {17};
  try {
    run_benchmark(load_embedded_model(), options, {});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr("17"));
  }
}

TEST(Benchmark, MedianOfOddAndEvenCounts) {
  EXPECT_EQ(spread_of({3, 1, 2}).median, 2);
  EXPECT_EQ(spread_of({4, 1, 2, 3}).median, 2.5);
  EXPECT_EQ(spread_of({4, 1, 2, 3}).max, 4);
}

}  // namespace
}  // namespace weir
