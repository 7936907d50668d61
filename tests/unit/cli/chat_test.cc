// The chat with a scripted person and a scripted model.
#include "cli/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Kind = ChatCommand::Kind;

class Script final : public LineEditor {
 public:
  explicit Script(std::vector<Line> lines) : lines_(lines.begin(), lines.end()) {}
  Line read(const std::string& prompt) override {
    prompts.push_back(prompt);
    if (lines_.empty()) return {Line::End::closed, ""};
    Line line = lines_.front();
    lines_.pop_front();
    return line;
  }
  std::vector<std::string> prompts;

 private:
  std::deque<Line> lines_;
};

// Repeats the last message; some words make it behave otherwise.
class Echo final : public ChatBackend {
 public:
  std::string answer(const Conversation& conversation,
                     const std::function<void(std::string_view)>& on_text,
                     std::shared_ptr<const std::atomic<bool>> cancel) override {
    seen = conversation;
    const std::string& text = conversation.messages.back().content;
    if (text == "fail") fail(Code::limit_exceeded, "the context is too short");
    on_text("You said: ");
    if (text == "endless") {
      raise(SIGINT);
      EXPECT_TRUE(*cancel);
      return "cancelled";
    }
    EXPECT_FALSE(*cancel);
    on_text(text);
    return text == "long" ? "The context is full." : "";
  }
  std::string stats() const override { return "10 tok/s\n"; }
  Conversation seen;
};

struct Result {
  std::string text;
  std::string notices;
  Conversation conversation;
  Conversation seen;
  std::vector<std::string> prompts;
};

Result chat(std::vector<Line> lines, Conversation start = {}) {
  Result result;
  result.conversation = std::move(start);
  Script script(std::move(lines));
  Echo echo;
  const ChatOutput output = {[&](std::string_view t) { result.text += t; },
                             [&](std::string_view t) { result.notices += t; }};
  run_chat(echo, script, output, result.conversation);
  result.prompts = script.prompts;
  result.seen = echo.seen;
  return result;
}

Result chat_lines(const std::vector<std::string>& texts, Conversation start = {}) {
  std::vector<Line> lines;
  for (const auto& text : texts) lines.push_back({Line::End::entered, text});
  return chat(std::move(lines), std::move(start));
}

std::vector<std::string> contents(const Conversation& conversation) {
  std::vector<std::string> result;
  for (const auto& m : conversation.messages) result.push_back(m.role + ": " + m.content);
  return result;
}

TEST(ChatCommand, Parsing) {
  const auto check = [](std::string_view input, Kind kind, std::string_view argument) {
    const ChatCommand got = parse_chat_command(input);
    EXPECT_EQ(got.kind, kind) << input;
    EXPECT_EQ(got.argument, argument) << input;
  };
  check("hello", Kind::message, "hello");
  check("  a / b  ", Kind::message, "a / b");
  check("/help", Kind::help, "");
  check(" /help ", Kind::help, "");
  check("/system Be brief.", Kind::system, "Be brief.");
  check("/system", Kind::system, "");
  check("/save  my file.json ", Kind::save, "my file.json");
  check("/load x", Kind::load, "x");
  check("/stats", Kind::stats, "");
  check("/clear", Kind::clear, "");
  check("/quit", Kind::quit, "");
  check("/exit", Kind::quit, "");
  check("/hlep", Kind::unknown, "hlep");
  check("/", Kind::unknown, "");
  check("//etc/passwd", Kind::message, "/etc/passwd");
}

std::vector<std::string> assembled(const std::vector<std::string>& lines) {
  MessageAssembler assembler;
  std::vector<std::string> result;
  for (const auto& line : lines) {
    if (assembler.push(line)) result.push_back(assembler.take());
  }
  if (assembler.pending()) result.push_back("pending");
  return result;
}

TEST(MessageAssembler, BackslashAndQuotes) {
  EXPECT_THAT(assembled({"one", "two"}), ElementsAre("one", "two"));
  EXPECT_THAT(assembled({"one\\", "two\\", "three", "four"}),
              ElementsAre("one\ntwo\nthree", "four"));
  EXPECT_THAT(assembled({"C:\\\\"}), ElementsAre("C:\\\\"));
  EXPECT_THAT(assembled({"\"\"\"one", "two\"\"\"", "x"}), ElementsAre("one\ntwo", "x"));
  EXPECT_THAT(assembled({"\"\"\"", "one", "", "two\\", "\"\"\""}), ElementsAre("one\n\ntwo\\"));
  EXPECT_THAT(assembled({"\"\"\"one\"\"\""}), ElementsAre("one"));
  EXPECT_THAT(assembled({"\"\"\"\"\"\""}), ElementsAre(""));
  EXPECT_THAT(assembled({"one\\"}), ElementsAre("pending"));
  EXPECT_THAT(assembled({"\"\"\"", "one"}), ElementsAre("pending"));
}

TEST(Chat, AnswersAndRemembers) {
  const Result got = chat_lines({"hi", "", "  ", "and you?"}, {"Be brief.", {}});
  EXPECT_EQ(got.text, "You said: hi\nYou said: and you?\n");
  EXPECT_THAT(contents(got.conversation),
              ElementsAre("user: hi", "assistant: You said: hi", "user: and you?",
                          "assistant: You said: and you?"));
  EXPECT_EQ(got.seen.system, "Be brief.");
  EXPECT_EQ(got.seen.messages.size(), 3u);
  EXPECT_EQ(got.seen.with_system().size(), 4u);
  EXPECT_EQ(got.seen.with_system()[0].role, "system");
  EXPECT_EQ(got.notices, "");
}

TEST(Chat, SeveralLinesAreOneMessage) {
  const Result got = chat_lines({"\"\"\"", "/not a command", "\"\"\""});
  EXPECT_THAT(contents(got.conversation),
              ElementsAre("user: /not a command", "assistant: You said: /not a command"));
  EXPECT_THAT(got.prompts, ElementsAre("> ", ". ", ". ", "> "));
}

TEST(Chat, CommandsAct) {
  const Result got = chat_lines({"hi", "/system You are a cat.", "/system", "/stats", "/clear",
                                 "/system -", "/system", "/hlep", "/xyzzyx", "/save", "/help"});
  EXPECT_TRUE(got.conversation.messages.empty());
  EXPECT_THAT(got.notices, HasSubstr("The system text is set.\nYou are a cat.\n10 tok/s\n"));
  EXPECT_THAT(got.notices, HasSubstr("There is no system text."));
  EXPECT_THAT(got.notices, HasSubstr("no command /hlep; did you mean /help?"));
  EXPECT_THAT(got.notices, HasSubstr("no command /xyzzyx; /help lists them"));
  EXPECT_THAT(got.notices, HasSubstr("/save needs the name of a file"));
  EXPECT_THAT(got.notices, HasSubstr("/load FILE"));
  EXPECT_EQ(got.text, "You said: hi\n");
}

TEST(Chat, QuitLeavesAtOnce) {
  const Result got = chat_lines({"/quit", "hi"});
  EXPECT_EQ(got.text, "");
  EXPECT_EQ(got.prompts.size(), 1u);
}

TEST(Chat, InterruptStopsTheAnswerOnly) {
  const Result got = chat_lines({"endless", "hi"});
  EXPECT_EQ(got.text, "You said: \nYou said: hi\n");
  EXPECT_EQ(got.notices, "(stopped)\n");
  EXPECT_EQ(got.conversation.messages.size(), 4u);
}

TEST(Chat, CtrlCDropsWhatWasTyped) {
  const Result got = chat({{Line::End::entered, "one\\"},
                           {Line::End::abandoned, ""},
                           {Line::End::entered, "two"},
                           {Line::End::abandoned, ""},
                           {Line::End::entered, "\"\"\"three"},
                           {Line::End::closed, ""},
                           {Line::End::entered, "four"}});
  EXPECT_EQ(got.text, "You said: two\nYou said: four\n");
  EXPECT_EQ(got.notices, "Ctrl-D or /quit leaves.\n");
}

TEST(Chat, ErrorsAreSaidAndTheQuestionForgotten) {
  const Result got = chat_lines({"fail", "long"});
  EXPECT_THAT(contents(got.conversation), ElementsAre("user: long", "assistant: You said: long"));
  EXPECT_EQ(got.notices, "the context is too short\n(The context is full.)\n");
}

class ConversationFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / ("weir-chat-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string error_of(const std::string& json) {
    try {
      parse_conversation(json);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::bad_format);
      return error.what();
    }
    return "no error";
  }
  std::filesystem::path folder_;
};

TEST_F(ConversationFile, SaveAndLoadInTheChat) {
  const std::string file = (folder_ / "talk.json").string();
  const Result first = chat_lines({"/system Ünïcode \"quotes\"", "hi\\", "there", "/save " + file});
  EXPECT_THAT(first.notices, HasSubstr("Saved 2 messages."));
  const Result second = chat_lines({"/load " + file, "again", "/save " + file});
  EXPECT_THAT(second.notices, HasSubstr("Loaded 2 messages."));
  EXPECT_THAT(second.notices, HasSubstr("Saved 4 messages."));
  EXPECT_EQ(second.seen.system, "Ünïcode \"quotes\"");
  EXPECT_EQ(second.seen.messages.at(0).content, "hi\nthere");
}

TEST_F(ConversationFile, ForeignFilesAreLeftAlone) {
  const auto file = folder_ / "notes.txt";
  write_file_atomically(file, "precious");
  const Result got = chat_lines({"hi", "/save " + file.string(), "/load " + file.string(),
                                 "/load " + (folder_ / "missing").string()});
  EXPECT_THAT(got.notices, HasSubstr("exists and is not a conversation"));
  EXPECT_EQ(read_file(file), "precious");
  EXPECT_EQ(got.conversation.messages.size(), 2u);  // a failed load changes nothing
}

TEST_F(ConversationFile, TheForm) {
  const Conversation talk = {"S", {{"user", "q", ""}, {"assistant", "a\n", ""}}};
  EXPECT_EQ(conversation_json(talk),
            "{\n  \"system\": \"S\",\n  \"messages\": [\n    {\n      \"role\": \"user\",\n      "
            "\"content\": \"q\"\n    },\n    {\n      \"role\": \"assistant\",\n      \"content\": "
            "\"a\\n\"\n    }\n  ]\n}\n");
  const Conversation back = parse_conversation(conversation_json(talk));
  EXPECT_EQ(back.system, "S");
  EXPECT_EQ(contents(back), contents(talk));
  EXPECT_EQ(parse_conversation("{\"messages\": []}").system, "");
  EXPECT_NO_THROW(parse_conversation(conversation_json({"\xff", {}})));
}

TEST_F(ConversationFile, WrongFormsAreNamed) {
  EXPECT_THAT(error_of("x"), HasSubstr("must be JSON"));
  EXPECT_THAT(error_of(""), HasSubstr("must be JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("needs a list \"messages\""));
  EXPECT_THAT(error_of("{\"messages\": 1}"), HasSubstr("needs a list \"messages\""));
  EXPECT_THAT(error_of("{\"system\": 1, \"messages\": []}"), HasSubstr("\"system\""));
  EXPECT_THAT(error_of("{\"messages\": [], \"model\": 1}"), HasSubstr("\"model\""));
  EXPECT_THAT(error_of("{\"messages\": [3]}"), HasSubstr("message 1"));
  EXPECT_THAT(error_of("{\"messages\": [{\"role\": \"user\"}]}"), HasSubstr("\"content\""));
  EXPECT_THAT(error_of("{\"messages\": [{\"role\": \"god\", \"content\": \"\"}]}"),
              HasSubstr("\"god\", expected user or assistant"));
  EXPECT_THAT(error_of(std::string(100000, '[')), HasSubstr("must be JSON"));
}

TEST(HistoryPath, FollowsTheEnvironment) {
  setenv("XDG_STATE_HOME", "/state", 1);
  EXPECT_EQ(history_path(), "/state/weir/history");
  setenv("XDG_STATE_HOME", "relative", 1);
  setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(history_path(), "/home/someone/.local/state/weir/history");
  unsetenv("XDG_STATE_HOME");
  EXPECT_EQ(history_path(), "/home/someone/.local/state/weir/history");
}

}  // namespace
}  // namespace weir
