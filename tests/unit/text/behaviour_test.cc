// Promises that hold for every vocabulary: round trips, special tokens only on request, streaming
// that never breaks a character, linear time on small stacks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <pthread.h>

#include <functional>
#include <random>
#include <set>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "support/clock.h"
#include "support/shared_data.h"
#include "text/detokenizer.h"
#include "text/pretokenizer_table.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"
#include "text/unicode_forms.h"
#include "text/utf8.h"
#include "unit/text/vocabularies.h"

namespace weir::test {
namespace {

/// Valid UTF-8 of many scripts, with runs, marks and white space, up to the code point `last`.
std::string random_text(std::mt19937& random, char32_t last = 0x10FFFF) {
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  std::string text;
  const uint32_t length = below(40);
  for (uint32_t i = 0; i < length; ++i) {
    char32_t c = 0;
    switch (below(6)) {
      case 0:
        c = 0x20 + below(0x5F);
        break;
      case 1:
        c = U" \t\n\r\u00A0\u3000"[below(6)];
        break;
      case 2:
        c = 0x80 + below(0x780);
        break;
      case 3:
        c = 0x300 + below(0x70);
        break;
      case 4:
        c = 0x800 + below(0xF800);
        break;
      default:
        c = 0x10000 + below(last - 0xFFFF);
    }
    if (c >= 0xD800 && c <= 0xDFFF) c = '?';
    if (c == 0x2581) c = '_';  // SentencePiece writes a space so: the only text it cannot keep
    for (uint32_t repeat = 1 + (below(8) == 0 ? below(20) : 0); repeat > 0; --repeat) {
      append_utf8(text, c);
    }
  }
  return text;
}

/// Some byte-level vocabularies lack bytes: those that valid UTF-8 never has, or also the first
/// bytes of the planes from 4 on (falcon, starcoder, refact), in which no character is assigned for
/// text.
bool has_byte(const Tokenizer& tokenizer, int byte) {
  return tokenizer.kind() != TokenizerKind::bpe ||
         tokenizer.find(std::string(1, static_cast<char>(byte))).has_value();
}

char32_t last_character(const Tokenizer& tokenizer) {
  const bool all = has_byte(tokenizer, 0xF1) && has_byte(tokenizer, 0xF2) &&
                   has_byte(tokenizer, 0xF3) && has_byte(tokenizer, 0xF4);
  return all ? 0x10FFFF : 0x3FFFF;
}

class EveryVocabulary : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    tokenizer_ = published_tokenizer(GetParam());
    if (!tokenizer_) GTEST_SKIP() << "the shared vocabulary " << GetParam() << " is absent";
  }
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_P(EveryVocabulary, RoundTripsTenThousandTexts) {
  if (tokenizer_->kind() == TokenizerKind::wordpiece) GTEST_SKIP() << "BERT folds its text";
  const auto& pre = tokenizer_->pre();
  const bool nfc = tokenizer_->kind() == TokenizerKind::bpe && named_pre_tokenizer(pre).nfc;
  std::mt19937 random(1);
  for (int i = 0; i < 10000; ++i) {
    const std::string text = random_text(random, last_character(*tokenizer_));
    const std::string kept = nfc ? normal_form(text, NormalForm::nfc) : text;
    ASSERT_EQ(tokenizer_->decode(tokenizer_->encode(text)), kept) << testing::PrintToString(text);
  }
}

TEST_P(EveryVocabulary, StreamsWholeCharactersThatJoinToTheText) {
  std::mt19937 random(2);
  const auto size = static_cast<uint32_t>(tokenizer_->vocab_size());
  for (int i = 0; i < 300; ++i) {
    std::vector<int32_t> ids;
    if (i % 2 == 0) {
      ids = tokenizer_->encode(random_text(random, last_character(*tokenizer_)));
    } else {
      for (int j = 0; j < 40; ++j) ids.push_back(static_cast<int32_t>(random() % size));
    }
    const Tokenizer::DecodeOptions options{.skip_special = i % 3 != 0, .text_start = i % 5 != 0};
    StreamDetokenizer stream(tokenizer_, options);
    std::string whole;
    for (const int32_t id : ids) {
      const std::string part = stream.push(id);
      ASSERT_TRUE(is_valid_utf8(part));
      whole += part;
    }
    whole += stream.finish();
    ASSERT_TRUE(is_valid_utf8(whole));
    ASSERT_EQ(whole, tokenizer_->decode(ids, options));
  }
}

TEST_P(EveryVocabulary, TextNeverBecomesASpecialTokenUnasked) {
  std::string all;
  int specials = 0;
  for (int32_t id = 0; id < tokenizer_->vocab_size(); ++id) {
    if (!tokenizer_->is_control(id)) continue;
    ++specials;
    const std::string text = "a" + tokenizer_->piece(id) + "b";
    all += text;
    if (specials > 300) continue;
    const auto plain = tokenizer_->encode(text, {.add_special = false});
    EXPECT_THAT(plain, testing::Not(testing::Contains(id)));
    const auto parsed = tokenizer_->encode(text, {.add_special = false, .parse_special = true});
    EXPECT_THAT(parsed, testing::Contains(id));
  }
  EXPECT_GT(specials, 0);
  for (const int32_t id : tokenizer_->encode(all, {.add_special = false})) {
    EXPECT_FALSE(tokenizer_->is_control(id)) << tokenizer_->piece(id);
  }
}

TEST_P(EveryVocabulary, TakesAnyBytes) {
  bool complete = true;
  for (int byte = 0; byte < 256; ++byte) complete = complete && has_byte(*tokenizer_, byte);
  const bool exact = complete && tokenizer_->kind() == TokenizerKind::bpe &&
                     !named_pre_tokenizer(tokenizer_->pre()).nfc;
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes;
    for (auto n = random() % 40; n > 0; --n) bytes.push_back(static_cast<char>(random() % 256));
    try {
      const auto ids = tokenizer_->encode(bytes, {.parse_special = i % 2 == 0});
      EXPECT_TRUE(is_valid_utf8(tokenizer_->decode(ids)));
      if (exact) {
        ASSERT_EQ(tokenizer_->decode_bytes(tokenizer_->encode(bytes)), bytes);
      }
    } catch (const Error& error) {
      EXPECT_FALSE(complete);
      EXPECT_EQ(error.code(), Code::unsupported);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryVocabulary,
                         testing::Values("llama-spm", "phi-3", "baichuan", "gpt-2", "gpt-neox",
                                         "mpt", "falcon", "starcoder", "refact", "deepseek-llm",
                                         "deepseek-coder", "bert-bge", "llama-bpe", "qwen2"),
                         [](const auto& param) {
                           std::string name = param.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif
constexpr const char* kWhyNotSanitized = "sanitizers change times and stack frames";

/// Runs `work` on a thread whose stack has 256 KiB.
void on_small_stack(const std::function<void()>& work) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
  pthread_t thread{};
  const auto run = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, const_cast<std::function<void()>*>(&work)),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

double best_time(const Tokenizer& tokenizer, const std::string& unit, size_t bytes, int runs) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return least_seconds(runs, [&] { EXPECT_FALSE(tokenizer.encode(text).empty()); });
}

const std::vector<std::string>& endless_units() {
  static const std::vector<std::string> units = {
      "A",    " ",  "\n",   "0",  "\xC3\xA9", "\xCC\x81", "\xF0\x9F\xA6\x99", "\xE4\xB8\xAD",
      "\x80", "a ", "   x", "aA", "x\xCC\x81"};
  return units;
}

/// WEIR_LONG_TESTS=1 takes 1 MB and 10 MB with the required ratio of 13; otherwise 64 KiB and 1 MB.
void expect_linear(const Tokenizer& tokenizer, const std::string& name) {
  const bool thorough = long_tests();
  // Both sizes pay for fresh pages; otherwise the small one is served from warm memory of the runs
  // before it, and the ratio is that of the allocator.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  const size_t small = thorough ? size_t{1} << 20 : size_t{1} << 16;
  const size_t large = thorough ? size_t{10} << 20 : size_t{1} << 20;
  const double limit = allowed_ratio(static_cast<double>(large / small));
  for (const std::string& unit : endless_units()) {
    on_small_stack([&] {
      double first = 0;
      double second = 1e9;
      for (int attempt = 0; attempt < 3 && second / first > limit; ++attempt) {
        first = best_time(tokenizer, unit, small, 3) + 1e-9;
        second = best_time(tokenizer, unit, large, thorough ? 2 : 1);
      }
      EXPECT_LE(second / first, limit) << name << " with " << testing::PrintToString(unit) << ": "
                                       << first << " s and " << second << " s";
    });
  }
}

TEST(LinearTime, EveryNamedPreTokenizer) {
  if (kSanitized) GTEST_SKIP() << kWhyNotSanitized;
  const auto spec = published_vocabulary("gpt-2");
  if (!spec) GTEST_SKIP() << "the shared vocabulary of gpt-2 is absent";
  std::set<std::string> seen;
  for (const std::string_view name : pre_tokenizer_names()) {
    std::string patterns;
    for (const auto& step : named_pre_tokenizer(name).steps) patterns += step.pattern + "\n";
    if (!seen.insert(patterns).second) continue;  // several names share their patterns
    VocabularySpec named = *spec;
    named.pre = name;
    expect_linear(*Tokenizer::create(named), std::string(name));
  }
}

TEST(LinearTime, EveryOtherKind) {
  if (kSanitized) GTEST_SKIP() << kWhyNotSanitized;
  for (const char* name : {"llama-spm", "phi-3", "bert-bge"}) {
    const auto tokenizer = published_tokenizer(name);
    if (!tokenizer) GTEST_SKIP() << "the shared vocabulary of " << name << " is absent";
    expect_linear(*tokenizer, name);
  }
}

TEST(LinearTime, Unigram) {
  if (kSanitized) GTEST_SKIP() << kWhyNotSanitized;
  const auto path = shared_data("tokenizers/sentencepiece/python/test/test_model.model");
  if (!path) GTEST_SKIP() << "the shared SentencePiece test model is absent";
  const std::string bytes = read_file(*path);
  VocabularySpec spec = from_sentencepiece_model(std::as_bytes(std::span(bytes)));
  ASSERT_EQ(spec.kind, TokenizerKind::unigram);
  spec.add_bos = true;  // its normaliser leaves nothing of white space
  expect_linear(*Tokenizer::create(spec), "unigram");
}

TEST(LinearTime, MarksInTheWorstOrderAreSortedInTime) {
  if (kSanitized) GTEST_SKIP() << kWhyNotSanitized;
  std::string text = "a";
  for (int i = 0; i < 300000; ++i) text += i % 2 == 0 ? "\xCC\x81" : "\xCC\xA7";
  const double seconds = least_seconds(1, [&] {
    EXPECT_EQ(normal_form(text, NormalForm::nfc).size(), text.size() - 1);  // a and cedilla compose
  });
  EXPECT_LT(seconds, allowed_seconds(0.5));
}

}  // namespace
}  // namespace weir::test
