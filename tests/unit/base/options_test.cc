// base/options.h: every declared type against edge values, texts, names and messages.
#include "base/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace weir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

struct Sample {
  bool flag = false;
  int32_t count = 3;
  uint64_t size = 7;
  std::optional<uint64_t> seed;
  float share = 0.8f;
  double exact = 1.5;
  std::string name = "x";
  std::vector<std::string> words = {"a\n"};
  std::vector<int32_t> ids;
  std::map<int32_t, float> weights;
};

OptionTable<Sample> make_table() {
  OptionTable<Sample> table;
  table.add({"flag"}, &Sample::flag, {}, "A flag");
  OptionRange small;
  small.minimum = 0;
  small.maximum = 10;
  table.add({"item_count", "", {"n"}}, &Sample::count, small, "How many");
  table.add({"size"}, &Sample::size, {}, "How large");
  table.add({"seed", "", {}, "random"}, &Sample::seed, {}, "Seed");
  OptionRange unit;
  unit.minimum = 0;
  unit.maximum = 1;
  table.add({"share"}, &Sample::share, unit, "Share");
  table.add({"exact"}, &Sample::exact, {}, "Any number");
  OptionRange text;
  text.max_bytes = 4;
  table.add({"name"}, &Sample::name, text, "Name");
  OptionRange list;
  list.max_items = 2;
  list.max_bytes = 3;
  table.add({"words"}, &Sample::words, list, "Words");
  table.add({"ids"}, &Sample::ids, {}, "Ids");
  OptionRange weight;
  weight.minimum = -1;
  weight.maximum = 1;
  weight.allow_minus_infinity = true;
  table.add({"weights"}, &Sample::weights, weight, "Weights");
  return table;
}

std::string error_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    return error.what();
  }
  return "no error";
}

std::string set_error(std::string_view name, OptionValue value) {
  Sample sample;
  return error_of([&] { make_table().set(sample, name, value); });
}

std::string text_error(std::string_view name, std::vector<std::string> texts) {
  Sample sample;
  return error_of([&] { make_table().set_text(sample, name, texts); });
}

TEST(Options, DeclaresNamesFlagsAndDefaults) {
  const auto table = make_table();
  EXPECT_EQ(table.info("item_count").flag, "item-count");
  EXPECT_EQ(table.info("item-count").name, "item_count");
  EXPECT_EQ(table.info("n").name, "item_count");
  EXPECT_EQ(table.info("item_count").default_text, "3");
  EXPECT_EQ(table.info("flag").default_text, "false");
  EXPECT_EQ(table.info("size").default_text, "7");
  EXPECT_EQ(table.info("seed").default_text, "random");
  EXPECT_EQ(table.info("share").default_text, "0.8");
  EXPECT_EQ(table.info("words").default_text, "'a\\n'");
  EXPECT_EQ(table.infos().size(), 10u);
}

TEST(Options, TextsFillEveryType) {
  const auto table = make_table();
  Sample s;
  const auto set = [&](std::string_view name, std::vector<std::string> texts) {
    table.set_text(s, name, texts);
  };
  set("flag", {});
  EXPECT_TRUE(s.flag);
  set("flag", {"off"});
  EXPECT_FALSE(s.flag);
  set("n", {"10"});
  EXPECT_EQ(s.count, 10);
  set("size", {"18446744073709551615"});
  EXPECT_EQ(s.size, std::numeric_limits<uint64_t>::max());
  set("seed", {"42"});
  EXPECT_EQ(s.seed, 42u);
  set("seed", {"random"});
  EXPECT_EQ(s.seed, std::nullopt);
  set("share", {"0.25"});
  EXPECT_EQ(s.share, 0.25f);
  set("exact", {"-1e300"});
  EXPECT_EQ(s.exact, -1e300);
  set("name", {"abcd"});
  EXPECT_EQ(s.name, "abcd");
  set("words", {"one", "two"});
  EXPECT_THAT(s.words, ElementsAre("one", "two"));
  set("ids", {"1", "-2"});
  EXPECT_THAT(s.ids, ElementsAre(1, -2));
  set("weights", {"5=0.5,6=-inf", "7=-1"});
  EXPECT_THAT(s.weights, ElementsAre(Pair(5, 0.5f), Pair(6, -HUGE_VALF), Pair(7, -1.0f)));
  EXPECT_NO_THROW(table.check(s));
  s.share = 1.5f;
  EXPECT_THAT(error_of([&] { table.check(s); }), HasSubstr("share"));
}

TEST(Options, MessagesNameOptionRangeAndValue) {
  EXPECT_EQ(text_error("item_count", {"11"}),
            "option 'item_count' must be a whole number from 0 to 10, but got 11");
  EXPECT_EQ(text_error("share", {"warm"}),
            "option 'share' must be a number from 0 to 1, but got 'warm'");
  EXPECT_EQ(set_error("share", {true}),
            "option 'share' must be a number from 0 to 1, but got true");
  EXPECT_EQ(text_error("size", {"-1"}),
            "option 'size' must be a whole number from 0 to 18446744073709551615, but got -1");
  EXPECT_EQ(text_error("seed", {"-1"}),
            "option 'seed' must be a whole number from 0 to 18446744073709551615 or 'random', but "
            "got -1");
  EXPECT_THAT(text_error("words", {"one", "two", "three"}), HasSubstr("at most 2"));
  EXPECT_THAT(text_error("words", {"four"}), HasSubstr("at most 3 bytes"));
  EXPECT_THAT(text_error("words", {""}), HasSubstr("empty"));
  EXPECT_THAT(text_error("weights", {"5"}), HasSubstr("ID=NUMBER"));
  EXPECT_THAT(text_error("weights", {"5=2"}), HasSubstr("from -1 to 1 or -inf"));
  EXPECT_THAT(text_error("weights", {"x=1"}), HasSubstr("the ID 'x'"));
  EXPECT_THAT(text_error("weights", {"5=nan"}), HasSubstr("weights"));
  EXPECT_THAT(text_error("name", {"a", "b"}), HasSubstr("takes one value"));
  EXPECT_THAT(text_error("name", {std::string(100, 'x')}), HasSubstr("100 bytes"));
}

// reliability D1: each parameter times each hostile value is either right or refused.
TEST(Options, HostileValuesAreRefused) {
  const auto table = make_table();
  const std::vector<OptionValue> hostile = {
      {int64_t{-1}},
      {int64_t{1} << 31},
      {uint64_t{1} << 63},
      {1e308},
      {-1e308},
      {std::nan("")},
      {std::numeric_limits<double>::infinity()},
      {0.5},
      {std::string("NaN")},
      {std::string("1")},
      {},
      {OptionList{}},
      {OptionObject{}},
      {true},
      {OptionList{{std::nan("")}}},
      {OptionList{{OptionValue{}}}},
      {OptionObject{{"1", {std::string("1")}}}},
      {OptionObject{{"-1", {1.0}}}},
      {OptionObject{{"4294967296", {1.0}}}},
  };
  int refused = 0, taken = 0;
  for (const auto& info : table.infos()) {
    for (const auto& value : hostile) {
      Sample s;
      try {
        table.set(s, info.name, value);
        ++taken;
        EXPECT_NO_THROW(table.check(s)) << info.name;
      } catch (const Error& error) {
        ++refused;
        EXPECT_EQ(error.code(), Code::invalid_argument);
        EXPECT_THAT(error.what(), HasSubstr("'" + info.name + "'"));
      }
    }
  }
  // By hand: flag takes true; item_count none; size 2^31, 2^63; seed these and null; share 0.5;
  // exact -1, 2^31, 2^63, 1e308, -1e308, 0.5; name "NaN", "1"; words "NaN", "1", []; ids [];
  // weights {}.
  EXPECT_EQ(taken, 1 + 0 + 2 + 3 + 1 + 6 + 2 + 3 + 1 + 1);
  EXPECT_EQ(refused + taken, 190);
}

TEST(Options, WholeDoublesCountAsIntegers) {
  const auto table = make_table();
  Sample s;
  table.set(s, "item_count", {4.0});
  EXPECT_EQ(s.count, 4);
  EXPECT_THAT(set_error("item_count", {4.5}), HasSubstr("4.5"));
  EXPECT_THAT(set_error("size", {1e19}), HasSubstr("size"));
}

TEST(Options, UnknownNamesGetTheNearest) {
  EXPECT_EQ(set_error("item-cuont", {}), "unknown option 'item-cuont'; did you mean 'item_count'?");
  EXPECT_THAT(set_error("zzzzzz", {}), HasSubstr("the options are: flag, item_count"));
}

TEST(NearestName, EditsSwapsAndSpelling) {
  const std::vector<std::string> names = {"top_k", "top_p", "min_p", "temperature"};
  EXPECT_EQ(nearest_name("top-k", names), "top_k");
  EXPECT_EQ(nearest_name("tmeperature", names), "temperature");
  EXPECT_EQ(nearest_name("temprature", names), "temperature");
  EXPECT_EQ(nearest_name("MIN_P", names), "min_p");
  EXPECT_EQ(nearest_name("x", names), std::nullopt);
  EXPECT_EQ(nearest_name("", names), std::nullopt);
  EXPECT_EQ(nearest_name("completely different", names), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(1000000, 'a'), names), std::nullopt);
}

}  // namespace
}  // namespace weir
