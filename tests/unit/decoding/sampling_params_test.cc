// The declared options of decoding: complete, in range by default, named as people type them.
#include "decoding/sampling_params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace weir {
namespace {

using testing::HasSubstr;

TEST(SamplingParams, DefaultsPassTheirOwnCheck) {
  EXPECT_NO_THROW(sampling_options().check(SamplingParams{}));
  for (const auto& info : sampling_options().infos()) {
    EXPECT_FALSE(info.help.empty()) << info.name;
    EXPECT_NE(info.help.back(), '.') << info.name;
  }
  EXPECT_EQ(sampling_options().infos().size(), 26u);
}

TEST(SamplingParams, NamesThatPeopleType) {
  const auto& table = sampling_options();
  EXPECT_EQ(table.info("temp").name, "temperature");
  EXPECT_EQ(table.info("temperature").flag, "temp");
  EXPECT_EQ(table.info("temperature").default_text, "0.8");
  EXPECT_EQ(table.info("seed").default_text, "random");
  EXPECT_EQ(table.info("dry_sequence_breakers").default_text, "'\\n' ':' '\"' '*'");
  try {
    table.info("topk");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "unknown option 'topk'; did you mean 'top_k'?");
  }
}

// reliability D2: everything that could be asked without bound has one.
TEST(SamplingParams, BoundsOfDemand) {
  const auto& table = sampling_options();
  SamplingParams params;
  const auto refused = [&](std::string_view name, const OptionValue& value) {
    try {
      table.set(params, name, value);
    } catch (const Error& error) {
      return error.code() == Code::invalid_argument;
    }
    return false;
  };
  EXPECT_TRUE(refused("logprobs", {int64_t{21}}));
  EXPECT_FALSE(refused("logprobs", {int64_t{20}}));
  EXPECT_TRUE(refused("stop", {OptionList(17, {std::string("x")})}));
  EXPECT_FALSE(refused("stop", {OptionList(16, {std::string(1024, 'x')})}));
  EXPECT_TRUE(refused("stop", {std::string(1025, 'x')}));
  OptionObject bias;
  for (int i = 0; i < 1024; ++i) bias.push_back({std::to_string(i), {1.0}});
  EXPECT_FALSE(refused("logit_bias", {bias}));
  bias.push_back({"1024", {1.0}});
  EXPECT_TRUE(refused("logit_bias", {bias}));
  EXPECT_TRUE(refused("mirostat", {int64_t{1}}));
  EXPECT_FALSE(refused("mirostat", {int64_t{2}}));
  EXPECT_TRUE(refused("temperature", {-0.1}));
  EXPECT_TRUE(refused("temperature", {std::nan("")}));
  EXPECT_TRUE(refused("dry_sequence_breakers", {OptionList(65, {std::string("x")})}));
}

// reliability D1: each option at, just inside and just outside its range, in wrong shapes too.
TEST(SamplingParams, EveryRangeHolds) {
  const auto& table = sampling_options();
  int borders = 0;
  for (const auto& info : table.infos()) {
    const bool whole = info.type == OptionType::integer;
    if (!whole && info.type != OptionType::number) continue;
    const auto accepts = [&](double value) {
      SamplingParams params;
      try {
        if (whole && std::fabs(value) < 9e15) {
          table.set(params, info.name, {static_cast<int64_t>(value)});
        } else {
          table.set(params, info.name, {value});
        }
      } catch (const Error&) {
        return false;
      }
      table.check(params);
      return true;
    };
    if (info.range.minimum) {
      EXPECT_TRUE(accepts(*info.range.minimum)) << info.name;
      EXPECT_FALSE(accepts(*info.range.minimum - (whole ? 1 : 1e-3))) << info.name;
      ++borders;
    }
    if (info.range.maximum) {
      EXPECT_TRUE(accepts(*info.range.maximum)) << info.name;
      EXPECT_FALSE(accepts(*info.range.maximum + (whole ? 1 : 1e-3))) << info.name;
    }
    EXPECT_FALSE(accepts(1e308)) << info.name;
    EXPECT_FALSE(accepts(-1e308)) << info.name;
    for (const OptionValue& wrong :
         {OptionValue{std::string("1")}, OptionValue{true}, OptionValue{OptionList{}},
          OptionValue{OptionObject{}}, OptionValue{std::nan("")}}) {
      SamplingParams params;
      EXPECT_THROW(table.set(params, info.name, wrong), Error) << info.name;
    }
  }
  EXPECT_GT(borders, 15);
}

}  // namespace
}  // namespace weir
