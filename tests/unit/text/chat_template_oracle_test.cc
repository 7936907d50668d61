// The vendors' templates on more conversations (tools, tool results, reasoning, unicode, empty and
// missing content), against Python's Jinja2 run live: tools/jinja-oracle/vendor.py.
#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include "support/shared_data.h"
#include "unit/text/jinja_support.h"

namespace weir::test {
namespace {

std::optional<std::string> output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string out;
  char buffer[1 << 16];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    out.append(buffer, n);
  }
  return pclose(pipe) == 0 ? std::optional(out) : std::nullopt;
}

TEST(ChatTemplateOracle, VendorTemplatesOnMoreConversations) {
  const auto folder = shared_data("api/chat-templates");
  if (!folder) GTEST_SKIP() << "the shared test data (chat-templates) is not here";
  if (!output_of("/usr/bin/python3 -c 'import jinja2' 2>/dev/null")) {
    GTEST_SKIP() << "python3-jinja2 is not installed: nothing to compare with";
  }
  const auto script = repository_file("tools/jinja-oracle/vendor.py").string();
  const auto printed = output_of("/usr/bin/python3 '" + script + "' '" + folder->string() + "'");
  ASSERT_TRUE(printed.has_value()) << "vendor.py failed";
  const Json document = Json::parse(*printed);
  const Json& talks = document["conversations"];
  ASSERT_GE(document["results"].size(), 55u * 50u);
  std::map<std::string, std::string> sources;
  std::uint64_t most_steps = 0;
  for (const Json& result : document["results"]) {
    const auto name = result["template"].get<std::string>();
    if (sources[name].empty()) sources[name] = read_file(*folder / name);
    const Json& context = talks[result["conversation"].get<std::size_t>()];
    const Outcome ours = render(sources[name], context);
    most_steps = std::max(most_steps, ours.steps);
    SCOPED_TRACE(name + " " + context.dump());
    if (result["error"].is_null()) {
      EXPECT_EQ(ours.error, "");
      EXPECT_EQ(ours.text, result["rendered"].get<std::string>());
    } else {
      EXPECT_NE(ours.error, "") << "the reference fails: " << result["error"];
      const auto error = result["error"].get<std::string>();
      if (error.starts_with("RecursionError")) {  // Python's own limit; ours is lower
        EXPECT_EQ(ours.code, Code::limit_exceeded) << ours.error;
        continue;
      }
      EXPECT_THAT(ours.error, testing::HasSubstr(error.substr(0, error.find(": ") + 2)));
    }
  }
  EXPECT_LE(most_steps, jinja::Limits{}.steps / 10);
}

}  // namespace
}  // namespace weir::test
