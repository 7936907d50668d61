// Every figure that the dashboard and the alert rules name is on the server's page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "support/shared_data.h"
#include "unit/server/test_server.h"

namespace weir {
namespace {

std::set<std::string> names_in(const std::string& text) {
  std::set<std::string> names;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      word += c;
      continue;
    }
    if (word.ends_with("_bucket")) word.resize(word.size() - 7);
    if (word.starts_with("weir_") || word.starts_with("process_")) names.insert(word);
    word.clear();
  }
  return names;
}

TEST(Deploy, DashboardAndAlertsNameFiguresThatExist) {
  test::TestServer server;
  const auto answer =
      test::request(server.port(), "POST", "/v1/completions",
                    R"({"prompt":"a b c","max_tokens":4,"stream":true,"temperature":0})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  server.log(1);  // the figures of an answer are there before its line
  const std::string page = test::request(server.port(), "GET", "/metrics").body;
  for (const char* file : {"deploy/grafana.json", "deploy/alerts.yaml"}) {
    const auto names = names_in(read_file(test::repository_file(file)));
    EXPECT_GE(names.size(), 5u) << file;
    for (const std::string& name : names)
      EXPECT_THAT(page, ::testing::HasSubstr("# TYPE " + name + " ")) << file;
  }
}

TEST(Deploy, DashboardIsJsonWithPanels) {
  const auto board = nlohmann::json::parse(read_file(test::repository_file("deploy/grafana.json")));
  EXPECT_GE(board["panels"].size(), 10u);
}

}  // namespace
}  // namespace weir
