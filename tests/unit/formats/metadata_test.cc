// Typed access to metadata: every type, ranges, errors that name the key; the builder's encoding.
#include "formats/metadata.h"

#include <gmock/gmock.h>

#include <limits>

#include "formats/gguf.h"
#include "unit/formats/expect_error.h"
#include "unit/formats/raw_gguf.h"

namespace weir {
namespace {

using test::expect_error;
using ::testing::ElementsAre;

template <typename T>
void expect_kept(T value) {
  MetadataBuilder builder;
  builder.add("k", value);
  EXPECT_EQ(builder.build().require<T>("k"), value);
}

TEST(Metadata, NumbersKeepTheirExtremes) {
  const auto both = []<typename T>(T) {
    expect_kept(std::numeric_limits<T>::lowest());
    expect_kept(std::numeric_limits<T>::max());
  };
  both(uint8_t{});
  both(int8_t{});
  both(uint16_t{});
  both(int16_t{});
  both(uint32_t{});
  both(int32_t{});
  both(uint64_t{});
  both(int64_t{});
  both(float{});
  both(double{});
  expect_kept(true);
  expect_kept(false);
}

TEST(Metadata, IntegersConvertWhenTheyFit) {
  MetadataBuilder builder;
  builder.add("small", uint8_t{200});
  builder.add("negative", int32_t{-1});
  builder.add("big", uint64_t{1} << 40);
  const Metadata metadata = builder.build();
  EXPECT_EQ(metadata.require<int64_t>("small"), 200);
  EXPECT_EQ(metadata.require<int16_t>("negative"), -1);
  EXPECT_EQ(metadata.require<int64_t>("big"), int64_t{1} << 40);
  expect_error(Code::bad_format, {"'small'", "200", "u8", "i8"},
               [&] { metadata.require<int8_t>("small"); });
  expect_error(Code::bad_format, {"'negative'", "-1", "i32", "u32"},
               [&] { metadata.require<uint32_t>("negative"); });
  expect_error(Code::bad_format, {"'big'", "1099511627776"},
               [&] { metadata.get<uint32_t>("big"); });
}

TEST(Metadata, KindsDoNotMix) {
  MetadataBuilder builder;
  builder.add("number", uint32_t{1});
  builder.add("flag", true);
  builder.add("rate", 0.5f);
  builder.add("text", "1");
  builder.add("list", std::vector<uint32_t>{1, 2});
  const Metadata metadata = builder.build();
  expect_error(Code::bad_format, {"'number'", "bool"}, [&] { metadata.require<bool>("number"); });
  expect_error(Code::bad_format, {"'flag'"}, [&] { metadata.require<uint8_t>("flag"); });
  expect_error(Code::bad_format, {"'rate'"}, [&] { metadata.require<int32_t>("rate"); });
  expect_error(Code::bad_format, {"'number'"}, [&] { metadata.require<float>("number"); });
  expect_error(Code::bad_format, {"'text'", "string"}, [&] { metadata.require<int>("text"); });
  expect_error(Code::bad_format, {"'list'", "array of 2 u32", "expected u32"},
               [&] { metadata.require<uint32_t>("list"); });
  expect_error(Code::bad_format, {"'number'"},
               [&] { metadata.require<std::vector<uint32_t>>("number"); });
  expect_error(Code::bad_format, {"'list'", "element 0"},
               [&] { metadata.require<std::vector<std::string>>("list"); });
  expect_error(Code::bad_format, {"'list'"}, [&] { metadata.find("list")->strings("list"); });
  EXPECT_EQ(metadata.require<double>("rate"), 0.5);
}

TEST(Metadata, AbsentKeys) {
  const Metadata metadata = MetadataBuilder().build();
  EXPECT_EQ(metadata.get<uint32_t>("no"), std::nullopt);
  EXPECT_EQ(metadata.get_or<uint32_t>("no", 7), 7u);
  EXPECT_FALSE(metadata.contains("no"));
  expect_error(Code::bad_format, {"'no' is missing"}, [&] { metadata.require<uint32_t>("no"); });
}

TEST(Metadata, Arrays) {
  MetadataBuilder builder;
  builder.add("ids", std::vector<int32_t>{1, -2, 3});
  builder.add("words", std::vector<std::string>{"one", "", "drei"});
  builder.add("empty", std::vector<float>{});
  builder.add("flags", std::vector<bool>{true, false, true});
  const Metadata metadata = builder.build();
  EXPECT_THAT(metadata.require<std::vector<int64_t>>("ids"), ElementsAre(1, -2, 3));
  EXPECT_THAT(metadata.require<std::vector<std::string_view>>("words"),
              ElementsAre("one", "", "drei"));
  EXPECT_TRUE(metadata.require<std::vector<float>>("empty").empty());
  EXPECT_THAT(metadata.require<std::vector<bool>>("flags"), ElementsAre(true, false, true));
  expect_error(Code::bad_format, {"'ids'", "element 1"},
               [&] { metadata.require<std::vector<uint32_t>>("ids"); });
  const StringRange words = metadata.find("words")->strings("words");
  EXPECT_EQ(words.size(), 3u);
  EXPECT_EQ(std::vector<std::string>(words.begin(), words.end()),
            (std::vector<std::string>{"one", "", "drei"}));
}

TEST(Metadata, KeepsFileOrderAndFindsEveryKey) {
  MetadataBuilder builder;
  for (int i = 0; i < 1000; ++i) builder.add(fmt::format("key.{}", i * 7919 % 1000), i);
  const Metadata metadata = builder.build();
  ASSERT_EQ(metadata.entries().size(), 1000u);
  for (int i = 0; i < 1000; ++i) {
    const std::string key = fmt::format("key.{}", i * 7919 % 1000);
    EXPECT_EQ(metadata.entries()[static_cast<size_t>(i)].key, key);
    EXPECT_EQ(metadata.require<int>(key), i);
  }
}

TEST(Metadata, SurvivesItsBuilderAndMoves) {
  Metadata kept;
  {
    MetadataBuilder builder;
    builder.add("a", "text that is not short enough for the object itself");
    Metadata first = builder.build();
    kept = std::move(first);
  }
  const Metadata copy = kept;
  EXPECT_EQ(copy.require<std::string>("a"), "text that is not short enough for the object itself");
}

TEST(Metadata, CopiesValuesOfAnotherFile) {
  const auto raw = test::sample();
  const Checkpoint checkpoint = read_gguf(raw.span(), "sample");
  MetadataBuilder builder;
  for (const auto& entry : checkpoint.metadata().entries()) builder.add(entry.key, entry.value);
  // The metadata section lies between the header (24 bytes) and the directory.
  EXPECT_EQ(builder.bytes(), raw.bytes.substr(24, builder.bytes().size()));
  EXPECT_EQ(builder.build().entries().size(), 8u);
}

TEST(Metadata, TextOfValues) {
  const auto raw = test::sample();
  const Metadata metadata = read_gguf(raw.span(), "sample").metadata();
  EXPECT_EQ(metadata.find("t.flag")->text(), "true");
  EXPECT_EQ(metadata.find("t.rate")->text(), "1.5");
  EXPECT_EQ(metadata.find("general.architecture")->text(), "'llama'");
  EXPECT_EQ(metadata.find("t.ids")->text(), "[1, -2, 3]");
  EXPECT_EQ(metadata.find("t.ids")->text(2), "[1, -2, …]");
  EXPECT_EQ(metadata.find("t.words")->text(), "['one', '']");
  EXPECT_EQ(metadata.find("t.nested")->text(), "[[7], ['x']]");
  EXPECT_EQ(metadata.find("t.nested")->type_text(), "array of 2 array");
}

TEST(Metadata, ErrorsEscapeForeignBytes) {
  MetadataBuilder builder;
  builder.add("text", "line\nbreak \x1b[31m");
  const Metadata metadata = builder.build();
  expect_error(Code::bad_format, {"line\\x0abreak \\x1b[31m"},
               [&] { metadata.require<uint32_t>("text"); });
}

TEST(MetadataBuilder, RefusesDuplicateAndBadKeys) {
  MetadataBuilder twice;
  twice.add("a", 1);
  twice.add("a", 2);
  expect_error(Code::bad_format, {"'a' appears twice"}, [&] { twice.build(); });
  MetadataBuilder empty;
  empty.add("", 1);
  expect_error(Code::bad_format, {"key", "empty"}, [&] { empty.build(); });
}

}  // namespace
}  // namespace weir
