// A model whose file is cut short while it is in use (reliability row A14): the pass ends with an
// error, the process goes on, and so does a model whose file is whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/mapping_guard.h"
#include "support/runner.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace weir {
namespace {

TEST(LostFile, EndsTheModelNotTheProcess) {
  install_mapping_guard();
  const test::TempDir temp;
  const auto path = temp.path() / "model.gguf";
  const auto whole_path = temp.path() / "whole.gguf";
  test::TinyModel tiny;
  tiny.width = 64;
  tiny.vocabulary = 400;
  const std::string bytes = test::tiny_gguf(tiny);
  std::ofstream(path, std::ios::binary) << bytes;
  std::ofstream(whole_path, std::ios::binary) << bytes;
  test::Runner runner(Model::load(path), 2, DType::f16, 32, 8);
  test::Runner whole(Model::load(whole_path), 2, DType::f16, 32, 8);
  const std::vector<int32_t> ids = {1, 2, 3};
  {
    Sequence sequence(runner.pool());
    EXPECT_EQ(runner.logits(sequence, ids, 3).size(), 3u);
  }
  ASSERT_EQ(::truncate(path.c_str(), 0), 0);
  for (int attempt = 0; attempt < 2; ++attempt) {
    Sequence sequence(runner.pool());
    try {
      runner.logits(sequence, ids, 3);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::io);
      EXPECT_THAT(error.what(), testing::HasSubstr("model.gguf was cut short"));
    }
  }
  Sequence sequence(whole.pool());
  EXPECT_EQ(whole.logits(sequence, ids, 3).size(), 3u);
}

}  // namespace
}  // namespace weir
