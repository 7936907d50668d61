// The error type: codes have stable names, messages are formatted, broken contracts throw.
#include "base/error.h"

#include <gmock/gmock.h>

#include <set>
#include <string>

namespace weir {
namespace {

using ::testing::HasSubstr;

TEST(Error, CarriesCodeAndFormattedMessage) {
  try {
    fail(Code::not_found, "no {} named {}", "model", "x.gguf");
    FAIL() << "fail() returned";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::not_found);
    EXPECT_STREQ(error.what(), "no model named x.gguf");
  }
}

TEST(Error, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i)
    names.insert(code_name(static_cast<Code>(i)));
  EXPECT_EQ(names.size(), static_cast<size_t>(Code::internal) + 1);
  EXPECT_EQ(code_name(Code::numeric), "numeric_error");  // part of the API
  EXPECT_EQ(code_name(Code::bad_format), "bad_format");
}

TEST(Check, ThrowsInternalWithConditionAndPlace) {
  EXPECT_NO_THROW(WEIR_CHECK(1 + 1 == 2));
  try {
    const int rows = 3;
    WEIR_CHECK(rows == 4, "rows {}", rows);
    FAIL() << "WEIR_CHECK let a broken condition pass";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::internal);
    EXPECT_THAT(error.what(), HasSubstr("rows == 4"));
    EXPECT_THAT(error.what(), HasSubstr("error_test.cc:"));
    EXPECT_THAT(error.what(), HasSubstr("rows 3"));
    EXPECT_THAT(error.what(), Not(HasSubstr("/error_test.cc")));  // no build paths in messages
  }
}

}  // namespace
}  // namespace weir
