// From requests to prompt ids: which form counts, what templates are given, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/engine.h"
#include "support/tiny_model.h"

namespace weir {
namespace {

using testing::HasSubstr;

std::unique_ptr<Engine> engine_with_template() {
  test::TinyModel tiny;
  tiny.tokenizer = true;
  tiny.vocabulary = 300;
  tiny.context = 256;
  tiny.more_keys = [](MetadataBuilder& keys) {
    keys.add("tokenizer.chat_template",
             "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
             "{% if tools %}{{ tools[0].name }}!{% endif %}{{ mood }}");
  };
  return make_native_engine(test::load_tiny(tiny), {.threads = 1});
}

Code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Code::internal;
}

TEST(Prompt, TokensComeBeforeMessagesAndTheseBeforeText) {
  const auto engine = engine_with_template();
  Request request;
  request.prompt = "text";
  EXPECT_THAT(engine->detokenize(engine->tokenize(request)), HasSubstr("text"));
  request.messages = {{"user", "hi", ""}};
  EXPECT_THAT(engine->detokenize(engine->tokenize(request)), HasSubstr("user:hi;"));
  request.tokens = {7, 8};
  EXPECT_EQ(engine->tokenize(request), (std::vector<int32_t>{7, 8}));
}

TEST(Prompt, TemplatesSeeToolsAndVariables) {
  const auto engine = engine_with_template();
  Request request;
  request.messages = {{"user", "hi", ""}};
  request.tools = R"([{"name": "clock"}])";
  request.template_variables = R"({"mood": "calm"})";
  EXPECT_THAT(engine->detokenize(engine->tokenize(request)), HasSubstr("user:hi;clock!calm"));
}

TEST(Prompt, RefusesToolsAndVariablesThatAreNone) {
  const auto engine = engine_with_template();
  Request request;
  request.messages = {{"user", "hi", ""}};
  for (const char* const text : {"{", "{}", "7", "null"}) {
    request.tools = text;
    EXPECT_EQ(code_of([&] { engine->tokenize(request); }), Code::invalid_argument) << text;
  }
  request.tools = "";
  for (const char* const text : {"[", "[]", "7", "null"}) {
    request.template_variables = text;
    EXPECT_EQ(code_of([&] { engine->tokenize(request); }), Code::invalid_argument) << text;
  }
}

TEST(Prompt, SubmitAndEmbedRefuseAsTokenizeDoes) {
  const auto engine = engine_with_template();
  Request request;
  request.tokens.assign(257, 5);
  EXPECT_EQ(code_of([&] { engine->tokenize(request); }), Code::limit_exceeded);
  EXPECT_EQ(code_of([&] { engine->embed(request); }), Code::limit_exceeded);
  EXPECT_EQ(code_of([&] { engine->submit(request, [](const Event&) {}); }), Code::limit_exceeded);
  request.tokens = {300};
  EXPECT_EQ(code_of([&] { engine->submit(request, [](const Event&) {}); }), Code::invalid_argument);
}

TEST(Prompt, OptionsOutOfRangeAreRefused) {
  const auto model = test::load_tiny({});
  const auto code = [&](const NativeOptions& options) {
    return code_of([&] { make_native_engine(model, options); });
  };
  EXPECT_EQ(code({.max_batch = 0}), Code::invalid_argument);
  EXPECT_EQ(code({.max_batch = 1 << 20}), Code::invalid_argument);
  EXPECT_EQ(code({.max_queue = -1}), Code::invalid_argument);
  EXPECT_EQ(code({.kv_tokens = -1}), Code::invalid_argument);
  EXPECT_EQ(code({.cache_bytes = -1}), Code::invalid_argument);
  EXPECT_EQ(code({.context_length = int64_t{1} << 60}), Code::invalid_argument);
  EXPECT_EQ(code({.kv_tokens = int64_t{1} << 60}), Code::invalid_argument);
}

TEST(Prompt, ASmallCacheIsTheContext) {
  const auto engine =
      make_native_engine(test::load_tiny({}), {.threads = 1, .max_batch = 4, .kv_tokens = 32});
  EXPECT_EQ(engine->capabilities().context_length, 32);
}

}  // namespace
}  // namespace weir
