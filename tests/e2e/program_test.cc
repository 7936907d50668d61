// The program from outside: what it prints, where, and with which exit code; one clear sentence for
// every file it cannot use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "support/shared_data.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

namespace fs = std::filesystem;

struct Result {
  int code = -1;
  std::string out, err;
};

/// A folder that goes away with the test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "weir-e2e-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// Runs a shell line with $WEIR as the program.
Result shell(const std::string& line) {
  const Folder folder;
  const fs::path out = folder / "out", err = folder / "err";
  const std::string command = "WEIR='" WEIR_PROGRAM "'; ( " + line + " ) >'" + out.string() +
                              "' 2>'" + err.string() + "' </dev/null";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

/// Exactly one line, that names the program.
void expect_one_sentence(const Result& r) {
  EXPECT_THAT(r.err, StartsWith("weir: "));
  EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  EXPECT_NE(r.code, 0);
  EXPECT_EQ(r.out, "");
}

TEST(Program, HelpAndVersion) {
  const Result help = shell("$WEIR --help");
  EXPECT_EQ(help.code, 0);
  for (const char* word : {"run", "info", "tokenize", "bench", "doctor", "selftest", "synth",
                           "completion", "Exit codes"})
    EXPECT_THAT(help.out, HasSubstr(word));
  EXPECT_THAT(shell("$WEIR run --help").out, HasSubstr("--top-k"));
  EXPECT_EQ(shell("$WEIR --version").code, 0);
}

TEST(Program, WrongFlagsNameTheNearest) {
  const Result flag = shell("$WEIR run --tempp 0 -p hello");
  EXPECT_EQ(flag.code, 2);
  EXPECT_THAT(flag.err, HasSubstr("'--temp'"));
  const Result command = shell("$WEIR rnu");
  EXPECT_EQ(command.code, 2);
  EXPECT_THAT(command.err, HasSubstr("'run'"));
  const Result value = shell("$WEIR run --top-p 7 -p hello");
  EXPECT_EQ(value.code, 2);
  EXPECT_THAT(value.err, HasSubstr("top_p"));
  const Result isa = shell("WEIR_ISA=mmx $WEIR run -p hello");
  EXPECT_EQ(isa.code, 2);
  EXPECT_THAT(isa.err, HasSubstr("scalar"));
}

TEST(Program, FilesItCannotUseGetOneSentence) {
  const Folder folder;
  std::ofstream(folder / "notes.txt") << "These are my notes, not a model.\n";
  const std::string bytes = read_file(test::repository_file("models/pocket.gguf"));
  std::ofstream(folder / "half.gguf", std::ios::binary) << bytes.substr(0, bytes.size() / 2);
  std::ofstream(folder / "empty.gguf");
  fs::create_directory(folder / "folder");
  std::string foreign = bytes;  // the same length, so that only the family changes
  const size_t at = foreign.find("general.architecture");
  ASSERT_NE(at, std::string::npos);
  const size_t name = foreign.find("llama", at);
  ASSERT_NE(name, std::string::npos);
  foreign.replace(name, 5, "bloom");
  std::ofstream(folder / "foreign.gguf", std::ios::binary) << foreign;
  for (const char* file : {"notes.txt", "half.gguf", "empty.gguf", "folder", "missing.gguf"}) {
    SCOPED_TRACE(file);
    const Result r = shell("$WEIR run '" + (folder / file).string() + "' -p hello");
    expect_one_sentence(r);
    EXPECT_THAT(r.err, HasSubstr(file));
  }
  const Result unknown = shell("$WEIR info '" + (folder / "foreign.gguf").string() + "'");
  expect_one_sentence(unknown);
  EXPECT_THAT(unknown.err, HasSubstr("bloom"));
  EXPECT_THAT(unknown.err, HasSubstr("qwen3moe"));  // the list of known families
}

TEST(Program, EmbeddedModelAnswers) {
  const Result a = shell("$WEIR run -p 'What is Weir?' --temp 0 -n 24 --stats");
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_GT(a.out.size(), 10u);
  EXPECT_THAT(a.err, HasSubstr("tok/s"));
  EXPECT_THAT(a.out, Not(HasSubstr("tok/s")));
  const Result piped = shell("printf 'What is Weir?' | $WEIR run --temp 0 -n 24");
  EXPECT_EQ(piped.out, a.out);
  const Result threads = shell("$WEIR run -p 'What is Weir?' --temp 0 -n 24 -t 3");
  EXPECT_EQ(threads.out, a.out);
  const Result scalar = shell("WEIR_ISA=scalar $WEIR run -p 'What is Weir?' --temp 0 -n 24");
  EXPECT_EQ(scalar.out, a.out);
}

TEST(Program, JsonIsJson) {
  const auto run = nlohmann::json::parse(shell("$WEIR run -p Hello --seed 5 -n 4 --json").out);
  EXPECT_EQ(run["tokens"].size(), run["stats"]["generated_tokens"].get<size_t>());
  EXPECT_EQ(run["stats"]["seed"], 5);
  const auto info = nlohmann::json::parse(shell("$WEIR info --json").out);
  EXPECT_EQ(info["architecture"], "llama");
  EXPECT_GT(info["memory"]["total"].get<int64_t>(), 0);
  const auto ids = nlohmann::json::parse(shell("$WEIR tokenize -p 'Hello there' --json").out);
  EXPECT_EQ(ids["tokens"].size(), ids["count"].get<size_t>());
  const auto bench = nlohmann::json::parse(shell("$WEIR bench -p 16 -n 4 -r 1 --json").out);
  ASSERT_EQ(bench["rows"].size(), 2u);
  EXPECT_EQ(bench["rows"][0]["test"], "pp16");
  EXPECT_EQ(bench["rows"][1]["test"], "tg4");
  EXPECT_GT(bench["rows"][1]["tokens_per_second"]["median"].get<double>(), 0);
}

TEST(Program, TokenizeAndBack) {
  EXPECT_EQ(
      shell("$WEIR tokenize -p 'A fox, a kite.' --no-bos --json | $WEIR tokenize --decode").out,
      "A fox, a kite.\n");
}

TEST(Program, SynthesisedModelsLoad) {
  const Folder folder;
  for (const char* type : {"q4_0", "q8_0", "q4_k_m", "f16"}) {
    const std::string file = (folder / type).string() + ".gguf";
    EXPECT_EQ(shell(std::string("$WEIR synth stories-15m --type ") + type + " -o " + file).code, 0);
    const Result r = shell("$WEIR run " + file + " -p hi -n 3 --temp 0");
    EXPECT_EQ(r.code, 0) << type << ": " << r.err;
  }
  const Result r = shell("$WEIR synth tinylama-1.1b -o /dev/null");
  EXPECT_EQ(r.code, 2);
  EXPECT_THAT(r.err, HasSubstr("tinyllama-1.1b"));
}

TEST(Program, SelfTestPasses) {
  const Result r = shell("$WEIR selftest");
  EXPECT_EQ(r.code, 0) << r.out << r.err;
  EXPECT_THAT(r.out, HasSubstr("passed on "));
}

TEST(Program, PublishedStory) {
  const auto model = test::shared_data("gguf/stories260K-f32.gguf");
  const auto page = test::shared_data("weights/stories260K/stories260K.md");
  if (!model || !page) GTEST_SKIP() << "the stories260K model is not here (WEIR_SHARED)";
  const std::string text = read_file(*page);
  const size_t begin = text.find("Once upon a time");
  const std::string story = text.substr(begin, text.find("\n```", begin) - begin);
  const Result r =
      shell("$WEIR run '" + model->string() + "' -p 'Once upon a time' --temp 0 -n 252");
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out, story + "\n");
}

TEST(Program, CompletionScripts) {
  EXPECT_EQ(shell("$WEIR completion bash | bash -n").code, 0);
  EXPECT_THAT(shell("$WEIR completion fish").out, HasSubstr("complete -c weir"));
}

}  // namespace
}  // namespace weir
