// The parameter table against bad values, and the reference page made from it.
#include "server/parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "server/api_error.h"
#include "server/json_body.h"
#include "server/ollama_request.h"
#include "support/shared_data.h"
#include "unit/server/test_server.h"

namespace weir {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json minimal_body(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::openai_chat:
    case Endpoint::ollama_chat:
      return {{"messages", {{{"role", "user"}, {"content", "hi"}}}}};
    case Endpoint::openai_embeddings:
    case Endpoint::ollama_embed:
      return {{"input", "hi"}};
    case Endpoint::plain_tokenize:
      return {{"content", "hi"}};
    case Endpoint::plain_detokenize:
      return {{"tokens", {1}}};
    case Endpoint::ollama_show:
      return json::object();
    default:
      return {{"prompt", "hi"}};
  }
}

std::string path_of(Endpoint endpoint) { return std::string(endpoint_name(endpoint).substr(5)); }

/// Values that are wrong for an option of this declaration.
std::vector<json> bad_values(const OptionInfo& info) {
  std::vector<json> bad = {json::object({{"a", 1}}), json::array({json::array()})};
  const OptionRange& range = info.range;
  switch (info.type) {
    case OptionType::boolean:
      bad.insert(bad.end(), {1, "true", 0.5});
      break;
    case OptionType::integer:
      bad.insert(bad.end(), {"1", 0.5, true, 1e300, -1e300});
      if (range.minimum) bad.push_back(*range.minimum - 1);
      if (range.maximum) bad.push_back(*range.maximum + 1);
      if (info.is_unsigned) bad.push_back(-1);
      break;
    case OptionType::number:
      bad.insert(bad.end(), {"1", true, 1e300, -1e300});
      if (range.minimum) bad.push_back(*range.minimum - 0.001);
      if (range.maximum) bad.push_back(*range.maximum * 1.001 + 0.001);
      break;
    case OptionType::text:
      bad.insert(bad.end(), {1, true, json::array({"a"})});
      if (range.max_bytes) bad.push_back(std::string(*range.max_bytes + 1, 'a'));
      break;
    case OptionType::text_list:
      bad.insert(bad.end(), {1, true, json::array({1}), json::array({""})});
      if (range.max_items) bad.push_back(json(std::vector<std::string>(*range.max_items + 1, "a")));
      break;
    case OptionType::integer_list:
      bad.insert(bad.end(), {1, "1", json::array({"a"}), json::array({-1}), json::array({0.5})});
      break;
    case OptionType::number_map:
      bad.insert(bad.end(), {1, "1", json::array({1}), {{"-1", 1}}, {{"1", "a"}}, {{"1", 1e9}}});
      break;
  }
  return bad;
}

TEST(Parameters, EveryOneRefusesEveryBadValueByName) {
  test::TestServer server;
  int checked = 0;
  for (const Endpoint endpoint : all_endpoints()) {
    for (const Parameter& row : parameters()) {
      const OptionInfo* info = option_of(row);
      if (info == nullptr || !row.known_to(endpoint)) continue;
      const std::string name = row.object.empty() ? row.name : row.object + "." + row.name;
      for (const json& value : bad_values(*info)) {
        json body = minimal_body(endpoint);
        if (row.object.empty())
          body[row.name] = value;
        else
          body[row.object][row.name] = value;
        RequestOptions options;
        SamplingParams sampling;
        try {
          read_parameters(body, endpoint, options, sampling);
          ADD_FAILURE() << endpoint_name(endpoint) << " took " << name << " = " << value;
        } catch (const ApiError& error) {
          EXPECT_EQ(error.status, 400);
          EXPECT_EQ(error.param, name) << value;
          EXPECT_THAT(error.what(), HasSubstr(row.name));
        }
        ++checked;
      }
      // Once over HTTP, in the dialect's shape.
      json body = minimal_body(endpoint);
      (row.object.empty() ? body[row.name] : body[row.object][row.name]) = bad_values(*info).back();
      const auto r = test::request(server.port(), "POST", path_of(endpoint), body.dump());
      EXPECT_EQ(r.status, 400) << endpoint_name(endpoint) << " " << name << r.body;
      if (r.status != 400) continue;
      if (path_of(endpoint).starts_with("/api/"))
        EXPECT_THAT(r.json()["error"].get<std::string>(), HasSubstr(row.name));
      else
        EXPECT_EQ(r.json()["error"]["param"], name);
    }
  }
  EXPECT_GT(checked, 1000);
}

TEST(Parameters, StructuredOnesRefuseByName) {
  test::TestServer server;
  const std::vector<std::tuple<const char*, const char*, const char*>> cases = {
      {"/v1/chat/completions", R"({})", "messages"},
      {"/v1/chat/completions", R"({"messages":[]})", "messages"},
      {"/v1/chat/completions", R"({"messages":"hi"})", "messages"},
      {"/v1/chat/completions", R"({"messages":[1]})", "messages[0]"},
      {"/v1/chat/completions", R"({"messages":[{"content":"a"}]})", "messages[0].role"},
      {"/v1/chat/completions", R"({"messages":[{"role":"user"}]})", "messages[0].content"},
      {"/v1/chat/completions", R"({"messages":[{"role":"user","content":5}]})",
       "messages[0].content"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]})",
       "messages[0].content[0]"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}]})", "tools"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"user","content":"a"}],"tool_choice":"required"})", "tool_choice"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}})",
       "response_format"},
      {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"a"}],"top_logprobs":2})",
       "top_logprobs"},
      {"/v1/completions", R"({})", "prompt"},
      {"/v1/completions", R"({"prompt":[]})", "prompt"},
      {"/v1/completions", R"({"prompt":["a",1]})", "prompt[1]"},
      {"/v1/completions", R"({"prompt":[1,-1]})", "prompt"},
      {"/v1/completions", R"({"prompt":[99999999999]})", "prompt"},
      {"/v1/completions", R"({"prompt":"a","best_of":2})", "best_of"},
      {"/v1/completions", R"({"prompt":"a","suffix":"b"})", "suffix"},
      {"/v1/completions", R"({"prompt":"a","stream_options":1})", "stream_options"},
      {"/v1/completions", R"({"prompt":"a","priority":"urgent"})", "priority"},
      {"/v1/embeddings", R"({"input":""})", "input"},
      {"/v1/embeddings", R"({"input":"a","encoding_format":"hex"})", "encoding_format"},
      {"/v1/embeddings", R"({"input":"a","dimensions":3})", "dimensions"},
      {"/tokenize", R"({"content":1})", "content"},
      {"/detokenize", R"({"tokens":"a"})", "tokens"}};
  for (const auto& [path, body, name] : cases) {
    const auto r = test::request(server.port(), "POST", path, body);
    EXPECT_EQ(r.status, 400) << body;
    EXPECT_EQ(r.json()["error"]["param"], name) << body << r.body;
  }
}

TEST(Parameters, UnknownOnesNameTheNearestAndKnownOnesPass) {
  RequestOptions options;
  SamplingParams sampling;
  const auto message = [&](const json& body, Endpoint endpoint) -> std::string {
    try {
      read_parameters(body, endpoint, options, sampling);
      return "";
    } catch (const ApiError& error) {
      return error.what();
    }
  };
  EXPECT_THAT(message({{"temprature", 1}}, Endpoint::plain_generate), HasSubstr("'temperature'"));
  EXPECT_THAT(message({{"max_token", 1}}, Endpoint::openai_chat), HasSubstr("'max_tokens'"));
  EXPECT_THAT(message({{"options", {{"num_predct", 1}}}}, Endpoint::ollama_chat),
              HasSubstr("'num_predict'"));
  EXPECT_EQ(message({{"user", "me"}, {"store", true}, {"metadata", json::object()}},
                    Endpoint::openai_chat),
            "");
  EXPECT_EQ(message({{"options", {{"num_ctx", 99}}}, {"think", false}}, Endpoint::ollama_chat), "");
  EXPECT_EQ(message({{"temperature", nullptr}, {"stop", nullptr}}, Endpoint::openai_chat), "");
}

TEST(Parameters, AliasesReachTheSameOption) {
  RequestOptions options;
  SamplingParams sampling;
  read_parameters({{"max_completion_tokens", 7}}, Endpoint::openai_chat, options, sampling);
  EXPECT_EQ(sampling.max_tokens, 7);
  read_parameters({{"options", {{"num_predict", 9}, {"stop", "x"}, {"seed", 3}}}},
                  Endpoint::ollama_generate, options, sampling);
  EXPECT_EQ(sampling.max_tokens, 9);
  EXPECT_EQ(sampling.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(sampling.seed, 3u);
}

TEST(Parameters, KeepAliveTakesSecondsAndDurations) {
  const std::vector<std::pair<json, double>> good = {
      {5, 5.0},        {"5m", 300.0}, {"1h30m", 5400.0}, {"-1m", -60.0},
      {"1500ms", 1.5}, {"0", 0.0},    {"30", 30.0},      {-1, -1.0}};
  for (const auto& [value, seconds] : good)
    EXPECT_DOUBLE_EQ(read_keep_alive({{"keep_alive", value}}).value(), seconds) << value;
  for (const json& value : {json("5x"), json(""), json("m"), json(true), json("1h30"), json(1e300),
                            json("nan"), json("inf"), json("--5s"), json(json::array())})
    EXPECT_THROW(read_keep_alive({{"keep_alive", value}}), ApiError) << value;
}

TEST(Reference, PageIsUpToDate) {
  EXPECT_EQ(read_file(test::repository_file("docs/api.md")), api_reference())
      << "make it again: weir serve --print-api-reference >docs/api.md";
}

TEST(Json, BadBodiesAre400InTheDialectsShape) {
  test::TestServer server;
  const std::string deep = std::string(70, '[') + std::string(70, ']');
  const std::vector<std::string> bodies = {"",
                                           "{",
                                           "[]",
                                           "null",
                                           "nonsense",
                                           "{\"prompt\":\"a\",}",
                                           "{'prompt':'a'}",
                                           "{\"prompt\":\"a\",\"prompt\":\"b\"}",
                                           "{\"prompt\":NaN}",
                                           "{\"temperature\":1e999}",
                                           "\xef\xbb\xbf{\"prompt\":\"a\"}",
                                           std::string("{\"prompt\":\"a\0\"}", 15),
                                           "{\"prompt\":\"\xff\"}",
                                           "{\"prompt\":\"\xc3\"}",
                                           "{\"prompt\":\"\xed\xa0\x80\"}",
                                           "{\"prompt\":\"\\ud800\"}",
                                           "{\"prompt\":\"a\nb\"}",
                                           "{\"prompt\":\"a\"} x",
                                           "{\"prompt\":" + deep + "}",
                                           "{\"a\":{\"b\":1,\"b\":2}}",
                                           "{\"prompt\":01}",
                                           "{\"prompt\":\"\\x\"}",
                                           "{\"prompt\":tru}",
                                           "{\"prompt\":+1}"};
  for (const std::string& body : bodies) {
    for (const char* path : {"/generate", "/v1/completions", "/api/generate"}) {
      const auto r = test::request(server.port(), "POST", path, body);
      EXPECT_EQ(r.status, 400) << path << " " << body;
      const bool ollama = std::string(path).starts_with("/api");
      EXPECT_TRUE(ollama ? r.json()["error"].is_string() : r.json()["error"]["message"].is_string())
          << r.body;
    }
  }
}

TEST(Json, AcceptsWhatTheTestSuiteAccepts) {
  const auto folder = test::shared_data("api/JSONTestSuite/test_parsing");
  if (!folder) GTEST_SKIP() << "the JSON test suite is not there";
  int yes = 0, no = 0;
  for (const auto& item : std::filesystem::directory_iterator(*folder)) {
    const std::string name = item.path().filename().string();
    const std::string text = read_file(item.path());
    bool taken = true;
    try {
      parse_json_body(text);
    } catch (const Error&) {
      taken = false;
    }
    // y_object_duplicated… is correct JSON; a member that stands twice is refused on purpose.
    const bool wanted = name.starts_with("y_") && !name.starts_with("y_object_duplicated");
    EXPECT_TRUE(taken == wanted || name.starts_with("i_")) << name;
    yes += name.starts_with("y_") ? 1 : 0;
    no += name.starts_with("n_") ? 1 : 0;
  }
  EXPECT_GT(yes, 90);
  EXPECT_GT(no, 180);
}

TEST(Json, ValuesAreCounted) {
  std::string many = "[";
  for (int i = 0; i < 300'000; ++i) many += "1,";
  many.back() = ']';
  EXPECT_THROW(parse_json_body(many), Error);
}

}  // namespace
}  // namespace weir
