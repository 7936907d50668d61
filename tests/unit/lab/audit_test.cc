// The audit of a policy: right bytes pass, others are refused, and a file that matched is not read
// again until anything about it changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "lab/policy.h"
#include "support/temp_dir.h"

namespace weir::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class AuditTest : public ::testing::Test {
 protected:
  AuditTest() {
    std::ofstream(model) << content;
    policy.file = "p.yaml";
    policy.model.path = model.string();
    policy.audit.sha256 = to_hex(sha256(content));
  }

  std::string refusal() {
    try {
      verify_audit(policy, memory);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  TempDir folder;
  const std::string content = "pretend these are weights";
  const fs::path model = folder.path() / "my model.gguf";
  const fs::path memory = folder.path() / "cache" / "verified";
  Policy policy;
};

TEST_F(AuditTest, ReadsOnce) {
  double last = 0;
  EXPECT_EQ(verify_audit(policy, memory, [&](double f) { last = f; }), Audit::matches);
  EXPECT_EQ(last, 1.0);
  last = 0;
  EXPECT_EQ(verify_audit(policy, memory, [&](double f) { last = f; }), Audit::matched_before);
  EXPECT_EQ(last, 0.0);
  EXPECT_EQ(verify_audit(policy, ""), Audit::matches);
}

TEST_F(AuditTest, OtherBytesAreRefused) {
  policy.audit.sha256[3] ^= 1;
  EXPECT_THAT(refusal(), HasSubstr("not the one that was approved"));
  EXPECT_THAT(refusal(), HasSubstr(to_hex(sha256(content))));
  policy.audit.sha256.clear();
  policy.audit.size = 5;
  EXPECT_THAT(refusal(), HasSubstr("has 25 bytes"));
  policy.audit.size = 25;
  EXPECT_EQ(verify_audit(policy, memory), Audit::matches);
}

TEST_F(AuditTest, AChangeAfterTheMatchIsSeenEvenIfTheTimeWasSetBack) {
  EXPECT_EQ(verify_audit(policy, memory), Audit::matches);
  const auto time = fs::last_write_time(model);
  std::fstream(model, std::ios::in | std::ios::out).put('P');
  fs::last_write_time(model, time);
  EXPECT_THAT(refusal(), HasSubstr("not the one that was approved"));
}

TEST_F(AuditTest, AnotherFileInItsPlaceIsSeen) {
  EXPECT_EQ(verify_audit(policy, memory), Audit::matches);
  const fs::path other = folder.path() / "other";
  std::ofstream(other) << "Pretend these are weights";
  fs::rename(other, model);
  EXPECT_THAT(refusal(), HasSubstr("not the one that was approved"));
}

TEST_F(AuditTest, LinksUpperCaseAndDamagedMemory) {
  const fs::path link = folder.path() / "link.gguf";
  fs::create_symlink(model, link);
  policy.model.path = link.string();
  for (char& c : policy.audit.sha256) c = static_cast<char>(std::toupper(c));
  EXPECT_EQ(verify_audit(policy, memory), Audit::matches);
  policy.model.path = model.string();
  EXPECT_EQ(verify_audit(policy, memory), Audit::matched_before);
  std::ofstream(memory) << "something else";
  EXPECT_EQ(verify_audit(policy, memory), Audit::matches);
  EXPECT_EQ(verify_audit(policy, memory), Audit::matched_before);
  // Where nothing can be remembered, it is read every time.
  EXPECT_EQ(verify_audit(policy, "/proc/none/verified"), Audit::matches);
}

TEST_F(AuditTest, WhatHasNoSingleFile) {
  policy.model.path = folder.path().string();
  EXPECT_THAT(refusal(), HasSubstr("folder"));
  policy.model.path = (folder.path() / "missing").string();
  EXPECT_THAT(refusal(), HasSubstr("no such model"));
  policy.audit = {};
  EXPECT_EQ(verify_audit(policy, memory), Audit::nothing_stated);
}

TEST_F(AuditTest, TheMemoryStaysSmall) {
  for (int i = 0; i < 300; ++i) {
    fs::rename(model, folder.path() / "x");  // changes the file's status
    fs::rename(folder.path() / "x", model);
    verify_audit(policy, memory);
  }
  const std::string text = read_file(memory);
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 257);
  EXPECT_EQ(verify_audit(policy, memory), Audit::matched_before);
}

}  // namespace
}  // namespace weir::test
