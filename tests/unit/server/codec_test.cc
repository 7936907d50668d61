// Codecs against each other: what our client's side writes, our server's side reads, and back.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/json_body.h"
#include "server/ollama_answer.h"
#include "server/ollama_request.h"
#include "server/openai_answer.h"
#include "server/openai_client.h"
#include "server/openai_request.h"

namespace weir {
namespace {

TEST(Codec, OpenAiRequestsComeBackAsTheyWent) {
  Request request;
  request.messages = {{"system", "Be brief.", ""},
                      {"user", "naïve 🙂 \"quoted\"\n", ""},
                      {"assistant", "", R"({"tool_calls":[{"id":"1"}]})"}};
  request.tools = R"([{"function":{"name":"f"},"type":"function"}])";
  request.sampling.temperature = 0.25f;
  request.sampling.top_k = 7;
  request.sampling.seed = 18446744073709551615ULL;
  request.sampling.stop = {"a", "b"};
  request.sampling.logit_bias = {{3, -1.5f}, {7, 2.0f}};
  request.sampling.max_tokens = 9;
  request.sampling.logprobs = 2;
  request.priority = Priority::batch;
  request.timeout_seconds = 2.5;
  request.use_prefix_cache = false;
  const Call call =
      read_openai_chat(parse_json_object(write_openai_request(request, "m", true)), {});
  ASSERT_EQ(call.requests.size(), 1u);
  const Request& back = call.requests[0];
  EXPECT_EQ(call.options.model, "m");
  EXPECT_TRUE(call.options.stream && call.options.include_usage);
  ASSERT_EQ(back.messages.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(back.messages[i].role, request.messages[i].role);
    EXPECT_EQ(back.messages[i].content, request.messages[i].content);
    EXPECT_EQ(back.messages[i].extra, request.messages[i].extra);
  }
  EXPECT_EQ(back.tools, request.tools);
  EXPECT_EQ(back.sampling.temperature, 0.25f);
  EXPECT_EQ(back.sampling.top_k, 7);
  EXPECT_EQ(back.sampling.seed, request.sampling.seed);
  EXPECT_EQ(back.sampling.stop, request.sampling.stop);
  EXPECT_EQ(back.sampling.logit_bias, request.sampling.logit_bias);
  EXPECT_EQ(back.sampling.max_tokens, 9);
  EXPECT_EQ(back.sampling.logprobs, 2);
  EXPECT_EQ(back.priority, Priority::batch);
  EXPECT_EQ(back.timeout_seconds, 2.5);
  EXPECT_FALSE(back.use_prefix_cache);

  Request plain;
  plain.tokens = {1, 2, 3};
  const Call completion =
      read_openai_completion(parse_json_object(write_openai_request(plain, "", false)), {});
  EXPECT_EQ(completion.requests.at(0).tokens, plain.tokens);
  EXPECT_EQ(completion.requests.at(0).sampling.max_tokens, -1);
}

TEST(Codec, OllamaRequestsComeBackAsTheyWent) {
  Request request;
  request.messages = {{"user", "hi", ""}};
  request.sampling.seed = 5;
  request.sampling.max_tokens = 3;
  request.sampling.stop = {"x"};
  const Call call =
      read_ollama_chat(parse_json_object(write_ollama_request(request, "m", false)), {});
  EXPECT_FALSE(call.options.stream);
  EXPECT_EQ(call.requests.at(0).messages.at(0).content, "hi");
  EXPECT_EQ(call.requests.at(0).sampling.seed, 5u);
  EXPECT_EQ(call.requests.at(0).sampling.max_tokens, 3);
  EXPECT_EQ(call.requests.at(0).sampling.stop, request.sampling.stop);
}

TEST(Codec, ContentPartsAndToolArguments) {
  const Call call = read_openai_chat(nlohmann::json::parse(R"({"messages":[
        {"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
        {"role":"assistant","content":null,"tool_calls":[
          {"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
        {"role":"tool","tool_call_id":"1","content":"ok"}],
        "tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none"})"),
                                     {});
  const auto& messages = call.requests.at(0).messages;
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[0].content, "ab");
  EXPECT_EQ(nlohmann::json::parse(messages[1].extra)["tool_calls"][0]["function"]["arguments"]["x"],
            1);
  EXPECT_EQ(nlohmann::json::parse(messages[2].extra)["tool_call_id"], "1");
  EXPECT_EQ(call.requests.at(0).tools, "");
}

Event token(int32_t id, const std::string& text) {
  Event event;
  event.token = id;
  event.text = text;
  return event;
}

std::string stream_of(Endpoint endpoint, const std::vector<std::string>& texts) {
  Call call;
  call.endpoint = endpoint;
  call.options.stream = call.options.include_usage = true;
  call.requests.emplace_back();
  AnswerFrame frame;
  frame.id = "1";
  frame.model = "m";
  const auto writer = make_answer_writer(call, frame);
  std::string out;
  writer->begin(out);
  for (const std::string& text : texts) writer->event(0, token(1, text), out);
  Event last;
  last.finish = FinishReason::stop;
  last.statistics.emplace();
  last.statistics->generated_tokens = static_cast<int64_t>(texts.size());
  writer->event(0, last, out);
  writer->end(out);
  return out;
}

TEST(Codec, StreamsAreReadHoweverTheyAreCut) {
  const std::vector<std::string> texts = {"naïve", "\n\ndata: [DONE]\n\n", "", "🙂", "\"}"};
  std::string whole;
  for (const std::string& text : texts) whole += text;
  for (const Endpoint endpoint : {Endpoint::openai_chat, Endpoint::openai_completion}) {
    const std::string bytes = stream_of(endpoint, texts);
    for (const size_t cut : {size_t{1}, size_t{7}, size_t{64}, bytes.size()}) {
      OpenAiStreamReader reader;
      std::string text, finish;
      std::optional<AnswerUsage> usage;
      bool done = false;
      for (size_t at = 0; at < bytes.size(); at += cut) {
        const ReadAnswer answer = reader.push(std::string_view(bytes).substr(at, cut));
        for (const AnswerPiece& piece : answer.pieces) {
          text += piece.text;
          if (!piece.finish.empty()) finish = piece.finish;
        }
        if (answer.usage) usage = answer.usage;
        done = done || answer.done;
      }
      EXPECT_EQ(text, whole);
      EXPECT_EQ(finish, "stop");
      EXPECT_TRUE(done);
      ASSERT_TRUE(usage);
      EXPECT_EQ(usage->generated_tokens, 5);
    }
  }
  OpenAiStreamReader reader;
  EXPECT_EQ(reader.push("event: error\ndata: {\"error\":{\"message\":\"why\"}}\n\n").error, "why");
  EXPECT_THROW(reader.push("data: {\"x\":1}\n\n"), Error);
  EXPECT_EQ(read_openai_answer(R"({"choices":[{"index":0,"text":"a"}]})").pieces.at(0).text, "a");
}

TEST(Codec, Base64OfAllLengths) {
  EXPECT_EQ(encode_base64(""), "");
  EXPECT_EQ(encode_base64("f"), "Zg==");
  EXPECT_EQ(encode_base64("fo"), "Zm8=");
  EXPECT_EQ(encode_base64("foo"), "Zm9v");
  EXPECT_EQ(encode_base64("foob"), "Zm9vYg==");
  EXPECT_EQ(encode_base64("\xff\xfe\xfd"), "//79");
}

TEST(Codec, TimesAreRfc3339) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(rfc3339(1'700'000'000'123'456'789), "2023-11-14T22:13:20.123456789Z");
}

}  // namespace
}  // namespace weir
