// The named pre-tokenizers against the published patterns: split_vectors.json says where Python's
// regex module cuts with them (make_split_vectors.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/shared_data.h"
#include "text/pretokenizer.h"
#include "text/pretokenizer_table.h"

namespace weir {
namespace {

TEST(NamedPreTokenizers, CutWhereThePublishedPatternsCut) {
  const auto path = test::repository_file("tests/unit/text/split_vectors.json");
  const auto json = nlohmann::json::parse(read_file(path));
  const auto texts = json.at("texts").get<std::vector<std::string>>();
  for (const auto& [name, vectors] : json.at("pieces").items()) {
    const PreTokenizer pre_tokenizer(named_pre_tokenizer(name).steps);
    RegexScratch scratch;
    ASSERT_EQ(vectors.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      std::vector<size_t> lengths;
      pre_tokenizer.for_each_word(texts[i], true, scratch,
                                  [&](std::string_view word) { lengths.push_back(word.size()); });
      EXPECT_EQ(lengths, vectors[i].get<std::vector<size_t>>())
          << name << ": " << testing::PrintToString(texts[i]);
    }
  }
}

TEST(NamedPreTokenizers, NamesAreKnownOnceAndHaveSteps) {
  const auto names = pre_tokenizer_names();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  for (const std::string_view name : names) EXPECT_FALSE(named_pre_tokenizer(name).steps.empty());
}

}  // namespace
}  // namespace weir
