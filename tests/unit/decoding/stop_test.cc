// decoding/stop.h against a search in the whole text, for every way to cut it.
#include "decoding/stop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/clock.h"

namespace weir {
namespace {

struct Expected {
  std::string text;
  bool stopped = false;
};

// The stop text that ends first, the longest of those; found by looking at every end.
Expected brute_force(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 0; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const auto& stop : stops) {
      if (stop.size() <= end && text.compare(end - stop.size(), stop.size(), stop) == 0) {
        longest = std::max(longest, stop.size());
      }
    }
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

TEST(StopMatcher, HoldsBackWhatMayBeAStop) {
  StopMatcher matcher({"</s>", "User:"});
  EXPECT_EQ(matcher.push("Hello <").emit, "Hello ");
  EXPECT_EQ(matcher.push("b> U").emit, "<b> ");
  EXPECT_EQ(matcher.push("se").emit, "");
  EXPECT_EQ(matcher.push("d").emit, "Used");
  auto out = matcher.push("</");
  EXPECT_EQ(out.emit, "");
  EXPECT_FALSE(out.stopped);
  out = matcher.push("s>more");
  EXPECT_EQ(out.emit, "");
  EXPECT_TRUE(out.stopped);
  EXPECT_EQ(matcher.matched(), 0u);
  EXPECT_EQ(matcher.push("again").emit, "");
  EXPECT_TRUE(matcher.push("").stopped);
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, FinishGivesBackWhatWasHeld) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("the EN").emit, "the ");
  EXPECT_EQ(matcher.finish(), "EN");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, TheOneCompleteFirstThenTheLongest) {
  StopMatcher matcher({"bc", "abcd", "abc"});
  const auto out = matcher.push("xabcd");
  EXPECT_TRUE(out.stopped);
  EXPECT_EQ(out.emit, "x");
  EXPECT_EQ(matcher.matched(), 2u);
}

TEST(StopMatcher, WithoutStopsEverythingPasses) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.push("abc").emit, "abc");
  EXPECT_EQ(matcher.finish(), "");
  EXPECT_THROW(StopMatcher({"a", ""}), Error);
}

TEST(StopMatcher, EveryCutOfRandomTexts) {
  std::mt19937 engine(11);
  int stopped = 0;
  for (int round = 0; round < 4000; ++round) {
    const auto random_text = [&engine](size_t most) {
      std::string text(engine() % (most + 1), 'a');
      for (char& c : text) c = static_cast<char>('a' + engine() % 2);
      return text;
    };
    std::vector<std::string> stops(1 + engine() % 3);
    for (auto& stop : stops) stop = random_text(6) + "b";
    const std::string text = random_text(24);
    const Expected expected = brute_force(text, stops);
    stopped += expected.stopped;

    StopMatcher matcher(stops);
    std::string emitted;
    bool stop_seen = false;
    for (size_t at = 0; at < text.size();) {
      const size_t length = std::min<size_t>(text.size() - at, engine() % 5);
      const auto out = matcher.push(text.substr(at, length));
      at += length;
      emitted += out.emit;
      stop_seen = out.stopped;
      // Never more than the answer will hold.
      ASSERT_EQ(expected.text.compare(0, emitted.size(), emitted), 0);
    }
    if (!stop_seen) emitted += matcher.finish();
    ASSERT_EQ(emitted, expected.text);
    ASSERT_EQ(stop_seen, expected.stopped);
  }
  EXPECT_GT(stopped, 1000);
  EXPECT_LT(stopped, 3900);
}

TEST(StopMatcher, LinearOnRepetitions) {
  const auto seconds = [](size_t size) {
    StopMatcher matcher(std::vector<std::string>(16, std::string(1023, 'a') + "b"));
    const std::string piece(64, 'a');
    return test::least_seconds(3, [&] {
      for (size_t i = 0; i < size; i += piece.size()) matcher.push(piece);
    });
  };
  EXPECT_LT(seconds(4000000), test::allowed_ratio(10) * seconds(400000) + 0.05);
}

TEST(StopIds, Contained) {
  const std::vector<int32_t> ids = {5, 2};
  EXPECT_TRUE(is_stop_id(ids, 2));
  EXPECT_FALSE(is_stop_id(ids, 3));
}

}  // namespace
}  // namespace weir
