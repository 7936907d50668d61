// Published vectors: 770 renderings of 55 vendors' templates and the language cases, as Python's
// jinja2 renders them. They lie in the shared test data, not in the repository.
#include <algorithm>
#include <map>

#include "support/shared_data.h"
#include "unit/text/jinja_support.h"

namespace weir::test {
namespace {

// A failure of the reference is met if we fail too, with the same exception and its message. The
// reference cuts nothing; we cut long texts in messages, so a long message is compared in part.
bool same_failure(const std::string& reference, const std::string& ours) {
  return ours.find(reference) != std::string::npos;
}

TEST(JinjaVectors, VendorTemplatesRenderAsTheReference) {
  const auto path = shared_data("api/chat-templates-golden.json");
  if (!path) GTEST_SKIP() << "the shared test data (chat-templates-golden.json) is not here";
  const Json golden = Json::parse(read_file(*path));
  ASSERT_EQ(golden["results"].size(), 770u);
  std::map<std::string, std::string> sources;
  int wrong = 0;
  std::uint64_t most_steps = 0;
  for (const Json& result : golden["results"]) {
    const auto name = result["template"].get<std::string>();
    if (sources[name].empty()) sources[name] = read_file(*shared_data("api/" + name));
    Json context = golden["cases"][result["case"].get<std::string>()];
    if (context["tools"].is_null()) context.erase("tools");  // the reference was called without
    context["add_generation_prompt"] = result["add_generation_prompt"];
    context["bos_token"] = "<s>";
    context["eos_token"] = "</s>";
    const Outcome ours = render(sources[name], context);
    most_steps = std::max(most_steps, ours.steps);
    const std::string where = name + " " + result["case"].get<std::string>();
    if (result["error"].is_null()) {
      EXPECT_EQ(ours.error, "") << where;
      EXPECT_EQ(ours.text, result["rendered"].get<std::string>()) << where;
    } else {
      EXPECT_NE(ours.error, "") << where << " should fail: " << result["error"];
      EXPECT_TRUE(same_failure(result["error"].get<std::string>(), ours.error))
          << where << "\n  reference: " << result["error"] << "\n  ours: " << ours.error;
    }
    wrong += HasFailure() ? 1 : 0;
    if (wrong > 200) break;
  }
  // Every published template stays within a tenth of the fuel.
  EXPECT_LE(most_steps, jinja::Limits{}.steps / 10);
  RecordProperty("most_steps", std::to_string(most_steps));
}

void check_vectors(const std::string& file, std::size_t count) {
  const auto path = shared_data("api/jinja-vectors/" + file);
  if (!path) GTEST_SKIP() << "the shared test data (jinja-vectors) is not here";
  const Json cases = Json::parse(read_file(*path));
  ASSERT_EQ(cases.size(), count);
  std::size_t checked = 0;
  for (const Json& one : cases) {
    const auto name = one["name"].get<std::string>();
    const bool failed = !one["jinja2_error"].is_null();
    if (failed && one["jinja2_error"].get<std::string>().starts_with("context holds")) continue;
    const Outcome ours = render(one["template"].get<std::string>(), one["context"]);
    ++checked;
    if (failed) {
      EXPECT_TRUE(same_failure(one["jinja2_error"].get<std::string>(), ours.error))
          << name << "\n  reference: " << one["jinja2_error"] << "\n  ours: " << ours.error;
    } else {
      EXPECT_EQ(ours.error, "") << name;
      EXPECT_EQ(ours.text, one["jinja2"].get<std::string>()) << name << one["template"];
    }
  }
  EXPECT_GE(checked + 4, count);
}

TEST(JinjaVectors, LanguageCases) { check_vectors("language.json", 161); }
TEST(JinjaVectors, ChatTemplateCases) { check_vectors("chat_e2e.json", 53); }

}  // namespace
}  // namespace weir::test
