// Vocabularies that contradict themselves are refused at creation, with the field named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "text/pretokenizer_table.h"
#include "text/tokenizer.h"

namespace weir {
namespace {

using testing::HasSubstr;

VocabularySpec small_spm() {
  VocabularySpec spec;
  spec.kind = TokenizerKind::spm;
  spec.name = "llama";
  spec.tokens = {"<unk>", "<s>", "</s>", "\xE2\x96\x81", "a", "b", "ab"};
  spec.scores = {0, 0, 0, -1, -2, -3, -4};
  spec.types = {TokenType::unknown, TokenType::control, TokenType::control, TokenType::normal,
                TokenType::normal,  TokenType::normal,  TokenType::normal};
  spec.unk = 0;
  spec.bos = 1;
  spec.eos = 2;
  return spec;
}

std::string error_of(const VocabularySpec& spec) {
  try {
    Tokenizer::create(spec);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(HostileVocabulary, TheSmallOneIsFine) {
  const auto tokenizer = Tokenizer::create(small_spm());
  EXPECT_EQ(tokenizer->encode("ab"), (std::vector<int32_t>{1, 3, 6}));
  EXPECT_EQ(tokenizer->encode("c"), (std::vector<int32_t>{1, 3, 0}));
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{1, 3, 6}), "ab");
  EXPECT_THROW(tokenizer->decode(std::vector<int32_t>{7}), Error);
  EXPECT_THROW(tokenizer->decode(std::vector<int32_t>{-1}), Error);
}

/// <|end|> ends a turn of Phi-3, but only a message of gpt-oss.
TEST(EndOfGeneration, EndIsNoneWhereReturnAndCallEndTheTurn) {
  VocabularySpec spec = small_spm();
  spec.tokens.insert(spec.tokens.end(), {"<|end|>", "<|return|>"});
  spec.scores.resize(spec.tokens.size());
  spec.types.resize(spec.tokens.size(), TokenType::control);
  const int32_t end = 7;
  EXPECT_TRUE(Tokenizer::create(spec)->is_end_of_generation(end));
  spec.tokens.emplace_back("<|call|>");
  spec.scores.resize(spec.tokens.size());
  spec.types.resize(spec.tokens.size(), TokenType::control);
  const auto tokenizer = Tokenizer::create(spec);
  EXPECT_FALSE(tokenizer->is_end_of_generation(end));
  for (const int32_t id : {2, 8, 9}) EXPECT_TRUE(tokenizer->is_end_of_generation(id));
}

TEST(HostileVocabulary, SpecialIdsMustBeInside) {
  for (const int32_t id :
       {7, -1, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
    VocabularySpec spec = small_spm();
    spec.bos = id;
    EXPECT_THAT(error_of(spec), HasSubstr("bos"));
    spec = small_spm();
    spec.eos = id;
    EXPECT_THAT(error_of(spec), HasSubstr("eos"));
    spec = small_spm();
    spec.added.push_back({.id = id});
    EXPECT_THAT(error_of(spec), HasSubstr("added"));
    spec = small_spm();
    spec.pipeline.emplace();
    spec.pipeline->suffix_ids = {id};
    EXPECT_THAT(error_of(spec), HasSubstr("suffix"));
  }
}

TEST(HostileVocabulary, ListsMustHaveOneLength) {
  VocabularySpec spec = small_spm();
  spec.scores.pop_back();
  EXPECT_THAT(error_of(spec), HasSubstr("scores"));
  spec = small_spm();
  spec.types.pop_back();
  EXPECT_THAT(error_of(spec), HasSubstr("types"));
  spec = small_spm();
  spec.scores.clear();
  EXPECT_THAT(error_of(spec), HasSubstr("scores"));
  spec = small_spm();
  spec.scores[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_of(spec), HasSubstr("score of token 3"));
  EXPECT_THAT(error_of(VocabularySpec()), HasSubstr("no tokens"));
}

TEST(HostileVocabulary, TokensHaveALimit) {
  VocabularySpec spec = small_spm();
  spec.tokens[6] = std::string(64 * 1024 + 1, 'a');
  EXPECT_THAT(error_of(spec), HasSubstr("65537 bytes"));
  spec.tokens[6].pop_back();
  EXPECT_EQ(error_of(spec), "accepted");
  spec.types[6] = TokenType::control;
  EXPECT_THAT(error_of(spec), HasSubstr("special token 6"));
  EXPECT_THROW(token_type_from(7), Error);
  EXPECT_THROW(token_type_from(-1), Error);
}

TEST(HostileVocabulary, WhatIsAskedForMustExist) {
  VocabularySpec spec = small_spm();
  spec.add_bos = true;
  spec.bos.reset();
  EXPECT_THAT(error_of(spec), HasSubstr("BOS"));
  spec = small_spm();
  spec.kind = TokenizerKind::unigram;
  spec.unk.reset();
  EXPECT_THAT(error_of(spec), HasSubstr("unknown token"));
  spec.kind = TokenizerKind::wordpiece;
  EXPECT_THAT(error_of(spec), HasSubstr("unknown token"));
}

TEST(HostileVocabulary, MergesMustNameTokens) {
  VocabularySpec spec;
  spec.tokens = {"a", "b", "ab"};
  for (const char* merge : {"a c", "c b", "b a", "ab", "", " ", "a ", "a b "}) {
    spec.merges = {merge};
    EXPECT_THAT(error_of(spec), HasSubstr("merge 0")) << merge;
  }
  spec.merges = {"a b"};
  const auto tokenizer = Tokenizer::create(spec);
  EXPECT_EQ(tokenizer->encode("abba"), (std::vector<int32_t>{2, 1, 0}));
  EXPECT_THROW(tokenizer->encode("c"), Error);  // no byte token, no unknown token
}

/// A token with a character outside the byte alphabet is stored as it is written, and so is what a
/// merge makes of it.
TEST(HostileVocabulary, MergesOfLiteralTokensAreLiteral) {
  VocabularySpec spec;
  spec.merges = {"\u0120 \u3042"};
  spec.tokens = {"\u0120", "\u3042", "\u0120\u3042"};
  EXPECT_EQ(error_of(spec), "accepted");
  spec.tokens[2] = " \u3042";
  EXPECT_THAT(error_of(spec), HasSubstr("result of merge 0"));
}

TEST(HostileVocabulary, UnknownPreTokenizerIsRefusedWithTheList) {
  VocabularySpec spec;
  spec.tokens = {"a"};
  spec.pre = "gpt-9";
  const std::string error = error_of(spec);
  EXPECT_THAT(error, HasSubstr("'gpt-9'"));
  for (const std::string_view name : pre_tokenizer_names()) {
    EXPECT_THAT(error, HasSubstr(std::string(name)));
    spec.pre = name;
    EXPECT_EQ(error_of(spec), "accepted") << name;
  }
}

TEST(HostileVocabulary, BrokenCharsmapsAreRefusedOrHarmless) {
  VocabularySpec spec = small_spm();
  for (const std::string& map : {std::string("abc"), std::string("\xFF\xFF\xFF\xFFxxxx", 8),
                                 std::string("\0\0\0\0", 4), std::string("\3\0\0\0abc", 7)}) {
    spec.precompiled_charsmap = map;
    EXPECT_THAT(error_of(spec), HasSubstr("charsmap"));
  }
  spec.precompiled_charsmap = std::string("\x08\0\0\0", 4) + std::string(8, '\xFF') + "x";
  const auto tokenizer = Tokenizer::create(spec);
  EXPECT_FALSE(tokenizer->encode("abc").empty());
}

}  // namespace
}  // namespace weir
