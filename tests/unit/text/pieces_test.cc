// The parts by themselves: UTF-8, byte alphabet, normal forms, trie, merge loop, pre-tokenizer
// steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "base/error.h"
#include "text/base64.h"
#include "text/byte_alphabet.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/pretokenizer_table.h"
#include "text/special_splitter.h"
#include "text/symbol_merger.h"
#include "text/token_index.h"
#include "text/trie.h"
#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace weir {
namespace {

using testing::ElementsAre;

TEST(Utf8, AcceptsExactlyTheWellFormed) {
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const CodePoint decoded = decode_utf8(text, 0);
    EXPECT_TRUE(decoded.valid && decoded.value == c && decoded.bytes == text.size()) << uint32_t{c};
  }
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE4\xB8", "\xFF"}) {
    EXPECT_FALSE(decode_utf8(bad, 0).valid);
    EXPECT_EQ(valid_utf8_prefix(bad), 0U);
  }
}

/// The examples of table 3-8 and section 3.9 of the Unicode standard.
TEST(Utf8, FilterReplacesMaximalParts) {
  const std::string r = "\uFFFD";
  const std::map<std::string, std::string> cases = {
      {"\xF0\x80\x80\x41", r + r + r + "A"},
      {"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64",
       "a" + r + r + r + "b" + r + "c" + r + r + "d"},
      {"\xE4\xB8", r},
      {"\xED\xA0\x80", r + r + r}};
  for (const auto& [bytes, wanted] : cases) {
    Utf8Filter whole;
    const std::string start = whole.push(bytes);
    EXPECT_EQ(start + whole.finish(), wanted);
    Utf8Filter single;
    std::string joined;
    for (const char c : bytes) joined += single.push(std::string(1, c));
    EXPECT_EQ(joined + single.finish(), wanted);
  }
}

TEST(ByteAlphabet, IsABijection) {
  std::string all;
  for (int b = 0; b < 256; ++b) all.push_back(static_cast<char>(b));
  std::string bytes = "-";
  EXPECT_TRUE(append_from_byte_alphabet(bytes, to_byte_alphabet(all)));
  EXPECT_EQ(bytes, "-" + all);
  EXPECT_EQ(to_byte_alphabet(" a\n"), "\u0120a\u010A");
  bytes = "-";
  EXPECT_FALSE(append_from_byte_alphabet(bytes, "\u0120b c"));  // a space is no letter of it
  EXPECT_EQ(bytes, "-\u0120b c");
}

/// As many slots are hit as by chance, though all tokens have the same first bytes: places next to
/// each other fill up else, and making a vocabulary takes quadratic time.
TEST(TokenIndex, TokensThatBeginAlikeAreSpread) {
  constexpr size_t kSlots = size_t{1} << 17, kTokens = 32768;
  for (const char* start : {"", "\u2581w", "abcdefg", "\u2581abcdefgh"}) {
    std::vector<bool> hit(kSlots);
    for (size_t i = 0; i < kTokens; ++i) {
      std::string token = start;
      for (size_t left = i, digit = 0; digit < 3; ++digit, left /= 32)
        token.push_back(static_cast<char>('0' + left % 32));
      hit[hash_bytes(token) % kSlots] = true;
    }
    const double by_chance = kSlots * (1 - std::exp(-double{kTokens} / kSlots));
    EXPECT_GT(std::count(hit.begin(), hit.end(), true), 0.98 * by_chance) << start;
  }
}

TEST(Base64, ReadsTheVectorsOfRfc4648) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("Zg=="), "f");
  EXPECT_EQ(decode_base64("Zm8="), "fo");
  EXPECT_EQ(decode_base64("Zm9vYmFy"), "foobar");
  EXPECT_THROW(decode_base64("Zm 9"), Error);
}

TEST(NormalForms, FollowTheStandardsExamples) {
  EXPECT_EQ(normal_form("e\u0301", NormalForm::nfc), "\u00E9");
  EXPECT_EQ(normal_form("\u00E9", NormalForm::nfd), "e\u0301");
  EXPECT_EQ(normal_form("\u1E9B\u0323", NormalForm::nfc), "\u1E9B\u0323");
  EXPECT_EQ(normal_form("\u1E9B\u0323", NormalForm::nfd), "\u017F\u0323\u0307");
  EXPECT_EQ(normal_form("\u1E9B\u0323", NormalForm::nfkc), "\u1E69");
  EXPECT_EQ(normal_form("\u1E9B\u0323", NormalForm::nfkd), "s\u0323\u0307");
  EXPECT_EQ(normal_form("\uFB01\u2460", NormalForm::nfkc), "fi1");
  EXPECT_EQ(normal_form("\u1112\u1161\u11AB", NormalForm::nfc), "\uD55C");
  EXPECT_EQ(normal_form("a\xFF\u0301", NormalForm::nfc), "a\xFF\u0301");
}

TEST(Trie, FindsEveryPrefix) {
  const Trie trie({{"a", 1}, {"ab", 2}, {"abcd", 3}, {"b", 4}, {"", 5}, {"a", 6}});
  std::vector<std::pair<size_t, int32_t>> found;
  trie.for_each_prefix("abcx", [&](size_t n, int32_t v) { found.emplace_back(n, v); });
  EXPECT_THAT(found, ElementsAre(std::pair(1, 1), std::pair(2, 2)));
  EXPECT_EQ(trie.longest_prefix("abcd").value, 3);
  EXPECT_EQ(trie.longest_prefix("x").length, 0U);
  EXPECT_TRUE(Trie().empty());
}

/// The fast loop against the definition: always the lowest rank, then the leftmost.
TEST(SymbolMerger, EqualsThePlainDefinition) {
  std::mt19937 random(5);
  for (int round = 0; round < 400; ++round) {
    std::map<std::pair<int32_t, int32_t>, MergeResult> table;
    const int32_t letters = 3;
    const int32_t tokens = letters + 12;
    for (int32_t id = letters; id < tokens; ++id) {
      const auto left = static_cast<int32_t>(random() % static_cast<uint32_t>(id));
      const auto right = static_cast<int32_t>(random() % static_cast<uint32_t>(id));
      // Ranks out of order and equal ranks must be right too.
      table.try_emplace({left, right}, MergeResult{static_cast<uint32_t>(random() % 6), id});
    }
    const auto merge_of = [&](int32_t left, int32_t right, size_t, size_t) {
      const auto hit = table.find({left, right});
      return hit == table.end() ? MergeResult{} : hit->second;
    };
    std::vector<int32_t> plain;
    MergeScratch scratch;
    const size_t length = 1 + random() % 200;
    for (size_t i = 0; i < length; ++i) {
      plain.push_back(static_cast<int32_t>(random() % letters));
      scratch.symbols.push_back({plain.back(), 1});
    }
    while (true) {
      size_t best = 0;
      MergeResult merge;
      for (size_t i = 0; i + 1 < plain.size(); ++i) {
        const MergeResult here = merge_of(plain[i], plain[i + 1], 0, 0);
        if (here.rank < merge.rank) {
          merge = here;
          best = i;
        }
      }
      if (merge.rank == kNoMerge) break;
      plain[best] = merge.id;
      plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    merge_symbols(scratch, merge_of);
    std::vector<int32_t> fast;
    size_t atoms = 0;
    for (const Symbol& symbol : scratch.symbols) {
      fast.push_back(symbol.id);
      atoms += symbol.span;
    }
    ASSERT_EQ(fast, plain);
    ASSERT_EQ(atoms, length);
  }
}

std::vector<std::string> words(const std::vector<PreTokenizerStep>& steps, std::string_view text) {
  const PreTokenizer pre_tokenizer(steps);
  RegexScratch scratch;
  std::vector<std::string> found;
  pre_tokenizer.for_each_word(text, true, scratch,
                              [&](std::string_view word) { found.emplace_back(word); });
  return found;
}

/// The example of the tokenizers library's documentation: "the-final--countdown" split at '-'.
TEST(PreTokenizer, SplitBehaviours) {
  using Behavior = PreTokenizerStep::Behavior;
  const auto split = [](Behavior behavior) {
    PreTokenizerStep step = isolated_split("-");
    step.literal = true;
    step.behavior = behavior;
    return words({step}, "the-final--countdown");
  };
  EXPECT_THAT(split(Behavior::removed), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(split(Behavior::isolated), ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(split(Behavior::merged_with_previous),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(split(Behavior::merged_with_next), ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(split(Behavior::contiguous), ElementsAre("the", "-", "final", "--", "countdown"));
}

TEST(PreTokenizer, PublishedExamples) {
  EXPECT_THAT(words(named_pre_tokenizer("gpt-2").steps, "Hello  world, it's 12345!"),
              ElementsAre("Hello", " ", " world", ",", " it", "'s", " 12345", "!"));
  EXPECT_THAT(words(named_pre_tokenizer("llama-bpe").steps, "I'M 12345\n\n x"),
              ElementsAre("I", "'M", " ", "123", "45", "\n\n", " x"));
  EXPECT_THAT(words(named_pre_tokenizer("qwen2").steps, "a 123"),
              ElementsAre("a", " ", "1", "2", "3"));
  EXPECT_THAT(words(named_pre_tokenizer("superbpe").steps, "a 1234567 b"),
              ElementsAre("a ", "1", "234", "567", " b"));
  EXPECT_THAT(words(named_pre_tokenizer("gpt-4o").steps, "HelloWorld's DNA"),
              ElementsAre("Hello", "World's", " DNA"));
  EXPECT_THAT(words(named_pre_tokenizer("tekken").steps, "HelloWorld 12"),
              ElementsAre("Hello", "World", " ", "1", "2"));
}

/// The rewritten patterns cut where the published ones cut.
TEST(PreTokenizer, LinearFormsEqualThePublishedPatterns) {
  std::mt19937 random(6);
  // Arabic digits, a mark, and last a number that is no digit: only for the patterns whose \b does
  // not ask whether it is a letter of a word, which PCRE2 and Oniguruma answer differently.
  const std::vector<std::string> atoms = {" ", "\t", "a", "x",      "1",      "2",
                                          "3", "4",  "-", "\u0665", "\u0301", "\u00BD"};
  const std::vector<std::pair<const char*, uint32_t>> patterns = {
      {R"(\s+$)", 5},
      {R"((?=(\d{3})+(?!\d)))", 12},
      {R"(\d{1,3}(?=(?:\d{3})*\b))", 10},
      {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)",
       12}};
  for (const auto& [published, kinds] : patterns) {
    ASSERT_NE(linear_pattern(published), published);
    for (int i = 0; i < 3000; ++i) {
      std::string text;
      for (auto n = random() % 14; n > 0; --n) text += atoms[random() % kinds];
      EXPECT_EQ(words({isolated_split(published)}, text),
                words({isolated_split(linear_pattern(published))}, text))
          << text;
    }
  }
}

TEST(PreTokenizer, MetaspaceSchemes) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::metaspace;
  EXPECT_THAT(words({step}, "Hey my friend"), ElementsAre("\u2581Hey", "\u2581my",
                                                          "\u2581"
                                                          "friend"));
  step.prepend = PreTokenizerStep::Prepend::never;
  EXPECT_THAT(words({step}, "Hey my"), ElementsAre("Hey", "\u2581my"));
  step.split = false;
  EXPECT_THAT(words({step}, "Hey my"), ElementsAre("Hey\u2581my"));
}

TEST(PreTokenizer, PathologicalPatternIsAnErrorNotAHang) {
  const std::string text(60, 'a');
  EXPECT_THROW(words({isolated_split("(a+)+[bc]")}, text + text), Error);
}

TEST(SpecialSplitter, LeftmostLongestWithStripping) {
  const SpecialSplitter splitter({{"<a>", {.id = 1}, true},
                                  {"<a>b", {.id = 2}, false},
                                  {"<m>", {.id = 3, .lstrip = true, .rstrip = true}, true}});
  const auto split = [&](std::string_view text, bool parse) {
    std::vector<std::string> parts;
    splitter.for_each(text, parse, [&](std::string_view part, int32_t id) {
      parts.push_back(id < 0 ? std::string(part) : "#" + std::to_string(id));
    });
    return parts;
  };
  EXPECT_THAT(split("x<a>y<a>bz", true), ElementsAre("x", "#1", "y", "#2", "z"));
  EXPECT_THAT(split("x<a>y<a>bz", false), ElementsAre("x<a>y", "#2", "z"));
  EXPECT_THAT(split("x <m> y", true), ElementsAre("x", "#3", "y"));
  EXPECT_THAT(split("<m>", true), ElementsAre("#3"));
}

TEST(Normalizer, Steps) {
  using Kind = NormalizerStep::Kind;
  const auto apply = [](NormalizerStep step, std::string_view text) {
    RegexScratch scratch;
    return Normalizer({step}).apply(text, scratch);
  };
  EXPECT_EQ(apply({.kind = Kind::lowercase}, "\u00C9A\u0130"), "\u00E9ai\u0307");
  EXPECT_EQ(apply({.kind = Kind::strip}, " \u3000 a b \n"), "a b");
  EXPECT_EQ(apply({.kind = Kind::collapse_spaces}, "  a   b "), "a b");
  EXPECT_EQ(apply({.kind = Kind::prepend, .content = "_"}, "a"), "_a");
  EXPECT_EQ(apply({.kind = Kind::prepend, .content = "_"}, ""), "");
  EXPECT_EQ(apply({.kind = Kind::replace, .pattern = " {2,}", .content = "-", .is_regex = true},
                  "a   b \xFF  c"),
            "a-b \xFF-c");
  EXPECT_EQ(apply({.kind = Kind::bert}, "H\u00E9llo\u4E2D\t\x01x"), "hello \u4E2D  x");
}

}  // namespace
}  // namespace weir
