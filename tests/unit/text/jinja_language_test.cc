// The language against Python's Jinja2: every case of tools/jinja-oracle/cases.py, with the text or
// the error that the reference gave (data/jinja-golden.json, made by tools/jinja-oracle/make.py).
#include <algorithm>

#include "support/shared_data.h"
#include "unit/text/jinja_support.h"

namespace weir::test {
namespace {

// The reference prints addresses of objects, which differ from run to run.
std::string without_addresses(std::string text) {
  for (std::size_t at = text.find(" at 0x"); at != std::string::npos;
       at = text.find(" at 0x", at)) {
    text.erase(at, text.find_first_not_of("0123456789abcdef", at + 6) - at);
  }
  return text;
}

std::string type_of(const std::string& error) { return error.substr(0, error.find(": ")); }

// Exceptions of the template language itself carry messages that users read: those must agree.
bool message_matters(const std::string& type) {
  return type == "UndefinedError" || type == "SecurityError" || type == "TemplateError" ||
         type == "TemplateRuntimeError";
}

void check_failure(const Json& one, const Outcome& ours) {
  const auto expected = one["error"].get<std::string>();
  ASSERT_NE(ours.error, "") << "should fail with " << expected << ", rendered: " << ours.text;
  if (expected == "syntax") {
    EXPECT_EQ(ours.code, Code::bad_format) << ours.error;
    EXPECT_THAT(ours.error, testing::StartsWith("chat template, line "));
    if (one.contains("line")) {
      const auto line = fmt::format("line {}:", one["line"].get<int>());
      EXPECT_THAT(ours.error, testing::HasSubstr(line));
    }
    return;
  }
  EXPECT_THAT(ours.error, testing::HasSubstr(type_of(expected) + ": "));
  if (message_matters(type_of(expected))) {
    EXPECT_THAT(ours.error, testing::HasSubstr(expected));
  }
}

TEST(JinjaLanguage, RendersAsTheReference) {
  const Json golden =
      Json::parse(read_file(repository_file("tests/unit/text/data/jinja-golden.json")));
  ASSERT_GE(golden["cases"].size(), 500u);
  for (const Json& one : golden["cases"]) {
    Json context = golden["context"];
    if (one.contains("context")) context.update(one["context"]);
    SCOPED_TRACE(one["template"].get<std::string>());
    const Outcome ours = render(one["template"].get<std::string>(), context);
    if (!one["error"].is_null()) {
      check_failure(one, ours);
      continue;
    }
    EXPECT_EQ(ours.error, "");
    EXPECT_EQ(ours.text, without_addresses(one["rendered"].get<std::string>()));
  }
}

}  // namespace
}  // namespace weir::test
