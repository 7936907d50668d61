// Policies from outside: `weir policy check` and `weir run --policy`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "base/hash.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

struct Result {
  int code = -1;
  std::string out, err;
};

class PolicyProgram : public ::testing::Test {
 protected:
  Result weir(const std::string& arguments) {
    const fs::path out = folder.path() / "out", err = folder.path() / "err";
    const std::string line = "XDG_CACHE_HOME='" + (folder.path() / "cache").string() +
                             "' '" WEIR_PROGRAM "' " + arguments + " >'" + out.string() + "' 2>'" +
                             err.string() + "' </dev/null";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
  }

  /// A policy file with this text; its path, quoted.
  std::string policy(const std::string& yaml) {
    const fs::path file = folder.path() / "policy.yaml";
    std::ofstream(file) << yaml;
    return "'" + file.string() + "'";
  }

  void expect_refused(const std::string& yaml, int code, const std::string& words) {
    SCOPED_TRACE(yaml);
    for (const char* command : {"policy check ", "run -p Hello --policy "}) {
      const Result r = weir(command + policy(yaml));
      EXPECT_EQ(r.code, code);
      EXPECT_EQ(r.out, "");
      EXPECT_THAT(r.err, HasSubstr(words));
      EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
    }
  }

  test::TempDir folder;
};

TEST_F(PolicyProgram, TheExamplePasses) {
  const auto example = test::repository_file("deploy/policy.example.yaml");
  const Result r = weir("policy check '" + example.string() + "'");
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("is a valid policy"));
  EXPECT_THAT(r.out, HasSubstr("context 4096"));
}

TEST_F(PolicyProgram, MistakesGetOneSentenceWithTheLine) {
  expect_refused("generation:\n  temprature: 1\n", 2, "policy.yaml:2");
  expect_refused("generation:\n  temprature: 1\n", 2, "'temperature'");
  expect_refused("runtime:\n  threads: 5000\n", 2, "from 0 to 1024");
  expect_refused("engin: {}\n", 2, "'engine'");
  expect_refused("a: [\n", 1, "not YAML");
  const Result missing = weir("policy check /nowhere.yaml");
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("/nowhere.yaml"));
  EXPECT_EQ(weir("policy").code, 2);
  EXPECT_EQ(weir("policy chek x").code, 2);
}

TEST_F(PolicyProgram, AuditComesBeforeTheFirstToken) {
  const auto model = test::repository_file("models/pocket.gguf");
  fs::copy_file(model, folder.path() / "m.gguf");
  const std::string right = to_hex(sha256_file(model));
  const std::string yaml = "model: {path: m.gguf}\naudit:\n  sha256: ";
  Result r = weir("policy check " + policy(yaml + right + "\n"));
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("matches"));
  EXPECT_THAT(r.out, Not(HasSubstr("unchanged")));
  EXPECT_THAT(weir("policy check " + policy(yaml + right + "\n")).out, HasSubstr("unchanged"));
  EXPECT_EQ(weir("run -p Hello -n 2 --policy " + policy(yaml + right + "\n")).code, 0);
  std::string wrong = right;
  wrong[0] = wrong[0] == '0' ? '1' : '0';
  expect_refused(yaml + wrong + "\n", 2, "not the one that was approved");
  expect_refused("model: {path: m.gguf}\naudit: {size: 3}\n", 2, "approves 3");
}

TEST_F(PolicyProgram, GivesDefaultsThatFlagsOverride) {
  const std::string yaml =
      "generation: {temperature: 0, max_tokens: 5}\nruntime: {threads: 2, kv_type: f32}\n";
  const auto json = [&](const std::string& flags) {
    const Result r = weir("run -p 'What is Weir?' --json --policy " + policy(yaml) + flags);
    EXPECT_EQ(r.code, 0) << r.err;
    return nlohmann::json::parse(r.out);
  };
  const auto plain = json("");
  EXPECT_EQ(plain["stats"]["generated_tokens"], 5);
  EXPECT_EQ(plain["stats"]["threads"], 2);
  const Result flags = weir("run -p 'What is Weir?' --json --temp 0 -n 5 -t 2 --kv-type f32");
  EXPECT_EQ(nlohmann::json::parse(flags.out)["tokens"], plain["tokens"]);
  EXPECT_EQ(json(" -n 3")["stats"]["generated_tokens"], 3);
  EXPECT_EQ(json(" -t 1")["stats"]["threads"], 1);
}

TEST_F(PolicyProgram, AMemoryBudgetIsKeptByRefusing) {
  const Result r = weir("run -p Hello -n 2 --policy " + policy("runtime: {memory: 1MB}\n"));
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("0.001 GB"));
}

}  // namespace
}  // namespace weir
