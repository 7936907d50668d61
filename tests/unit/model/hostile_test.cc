// Hyper-parameters, shapes, ids and weights that do not fit: an Error with words, or a run whose
// logits are what they are. Never a crash (reliability rows A8, A13, R31). Runs under ASan in CI.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/runner.h"
#include "support/tiny_model.h"

namespace weir {
namespace {

using test::TinyModel;

/// Loads and runs three tokens; returns false if an Error refused it.
bool loads_and_runs(const std::string& bytes) {
  try {
    const auto model = test::load_bytes(bytes);
    const int64_t context = std::min<int64_t>(model->config().context, 48);
    test::Runner runner(model, 1, DType::f16, context, 2);
    Sequence sequence(runner.pool());
    const std::vector<int32_t> ids = {1, 0, 1};
    runner.logits(sequence, ids, 2);
    return true;
  } catch (const Error& error) {
    EXPECT_NE(error.code(), Code::internal) << error.what();
    EXPECT_GT(std::string(error.what()).size(), 20u);
    return false;
  }
}

/// The file with the value of one key changed.
std::string with_value(const Checkpoint& source, std::string_view key,
                       const MetadataBuilder& value) {
  MetadataBuilder keys;
  const Metadata changed = value.build();
  for (const auto& entry : source.metadata().entries())
    keys.add(entry.key, entry.key == key ? changed.entries()[0].value : entry.value);
  GgufWriter writer(keys);
  for (const TensorEntry& tensor : source.tensors())
    writer.add_tensor(tensor.name, tensor.type, tensor.dims, tensor.data);
  return writer.to_bytes();
}

class EveryFamily : public testing::TestWithParam<std::string> {
 protected:
  TinyModel tiny() const {
    TinyModel model;
    model.family = GetParam();
    model.layers = 2;
    if (GetParam().ends_with("moe") || GetParam() == "deepseek") model.experts = 4;
    return model;
  }
};

TEST_P(EveryFamily, RunsAsItIs) { EXPECT_TRUE(loads_and_runs(test::tiny_gguf(tiny()))); }

TEST_P(EveryFamily, SurvivesEveryHyperParameter) {
  const std::string bytes = test::tiny_gguf(tiny());
  const Checkpoint source = test::checkpoint_of(bytes);
  for (const auto& entry : source.metadata().entries()) {
    const Value& value = entry.value;
    std::vector<MetadataBuilder> mutants;
    const auto add = [&](auto number) { mutants.emplace_back().add(entry.key, number); };
    if (value.type == ValueType::u32) {
      const auto old = value.as<uint32_t>(entry.key);
      for (const uint32_t n :
           {0u, 1u, 2u, 3u, old - 1, old + 1, 0x7fffffffu, 0x80000000u, 0xffffffffu})
        add(n);
      for (const int64_t n :
           {int64_t{-1}, int64_t{1} << 32, int64_t{1} << 62, std::numeric_limits<int64_t>::min(),
            std::numeric_limits<int64_t>::max()})
        add(n);
      add(std::numeric_limits<uint64_t>::max());
      add(1.5f);
      mutants.emplace_back().add(entry.key, std::vector<uint32_t>{old, 0});
      mutants.emplace_back().add(entry.key, std::vector<uint32_t>{});
    } else if (value.type == ValueType::f32) {
      for (const float n : {0.0f, -1.0f, 1e-30f, 1e30f, std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()})
        add(n);
    }
    mutants.emplace_back().add(entry.key, "text");
    for (const MetadataBuilder& mutant : mutants) {
      SCOPED_TRACE(fmt::format("{} = {}", entry.key, mutant.build().entries()[0].value.text()));
      loads_and_runs(with_value(source, entry.key, mutant));
    }
  }
}

TEST_P(EveryFamily, NamesTheTensorThatIsMissing) {
  const std::string bytes = test::tiny_gguf(tiny());
  const Checkpoint source = test::checkpoint_of(bytes);
  for (const TensorEntry& missing : source.tensors()) {
    GgufWriter writer([&] {
      MetadataBuilder keys;
      for (const auto& entry : source.metadata().entries()) keys.add(entry.key, entry.value);
      return keys;
    }());
    for (const TensorEntry& tensor : source.tensors())
      if (tensor.name != missing.name)
        writer.add_tensor(tensor.name, tensor.type, tensor.dims, tensor.data);
    const std::string without = writer.to_bytes();
    SCOPED_TRACE(missing.name);
    // Biases and a second norm are optional: without them it is another model, but a whole one.
    const bool optional = missing.name.ends_with(".bias") ||
                          missing.name.find("ffn_gate_inp_shexp") != std::string::npos ||
                          (family_of_gguf(GetParam()).parallel_residual &&
                           missing.name.find("ffn_norm.weight") != std::string::npos);
    EXPECT_EQ(loads_and_runs(without), optional);
  }
}

TEST_P(EveryFamily, NaNInAnyTensorIsReported) {
  const std::string bytes = test::tiny_gguf(tiny());
  const Checkpoint source = test::checkpoint_of(bytes);
  for (const TensorEntry& tensor : source.tensors()) {
    SCOPED_TRACE(tensor.name);
    TinyModel poisoned = tiny();
    poisoned.edit = [&](const std::string& name, std::vector<float>& values) {
      if (name == tensor.name)
        std::fill(values.begin(), values.end(), std::numeric_limits<float>::quiet_NaN());
    };
    const auto model = test::load_tiny(poisoned);
    CpuDevice device(1);
    Decoder decoder(model, device, 4, 16);
    PagePool pool(Decoder::kv_layout(model->config(), DType::f16), 1);
    Sequence sequence(pool);
    sequence.reserve(3);
    const std::vector<int32_t> ids = {1, 2, 3};
    const SequenceRun run{sequence.view(), 0, 3, 0};
    EXPECT_FALSE(decoder.forward({ids, {&run, 1}, {}})[0].finite);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, EveryFamily, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const Family& family : families()) names.emplace_back(family.name);
                           return names;
                         }()),
                         [](const auto& test) { return test.param; });

TEST(Hostile, AnUnknownFamilyIsRefusedWithTheList) {
  TinyModel model;
  std::string bytes = test::tiny_gguf(model);
  const Checkpoint source = test::checkpoint_of(bytes);
  MetadataBuilder other;
  other.add("general.architecture", "mamba");
  try {
    test::load_bytes(with_value(source, "general.architecture", other));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unsupported);
    for (const Family& family : families())
      EXPECT_THAT(error.what(), testing::HasSubstr(std::string(family.name)));
    EXPECT_THAT(error.what(), testing::HasSubstr("mamba"));
  }
}

TEST(Hostile, ShapesAreNamedOnBothSides) {
  TinyModel model;
  const std::string bytes = test::tiny_gguf(model);
  const Checkpoint source = test::checkpoint_of(bytes);
  MetadataBuilder heads;
  heads.add("llama.feed_forward_length", uint32_t{64});
  try {
    test::load_bytes(with_value(source, "llama.feed_forward_length", heads));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_format);
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("blk.0.ffn_gate.weight"),
                               testing::HasSubstr("{32, 32}"), testing::HasSubstr("{64, 32}")));
  }
}

TEST(Hostile, SpecialIdsOutsideTheVocabularyAreRefused) {
  TinyModel model;
  model.tokenizer = true;
  model.vocabulary = 300;
  const std::string bytes = test::tiny_gguf(model);
  const Checkpoint source = test::checkpoint_of(bytes);
  EXPECT_TRUE(loads_and_runs(bytes));
  for (const char* const key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                                "tokenizer.ggml.unknown_token_id"})
    for (const int64_t id : {int64_t{300}, int64_t{-2}, int64_t{1} << 32, int64_t{1} << 40}) {
      MetadataBuilder value;
      value.add(key, id);
      EXPECT_FALSE(loads_and_runs(with_value(source, key, value))) << key << " = " << id;
    }
}

TEST(Hostile, ATokenizerLargerThanTheEmbeddingIsRefused) {
  TinyModel model;
  model.tokenizer = true;
  model.vocabulary = 24;  // rows; the token list has 259 entries
  EXPECT_FALSE(loads_and_runs(test::tiny_gguf(model)));
}

TEST(Decoder, RefusesIdsAndPositionsBeforeItWritesAnything) {
  const auto model = test::load_tiny({});
  test::Runner runner(model, 1, DType::f32, 32, 8);
  Sequence sequence(runner.pool());
  const std::vector<int32_t> good = {1, 2, 3};
  const auto before = runner.logits(sequence, good, 3);
  for (const int32_t bad : {-1, 24, 1 << 30}) {
    const std::vector<int32_t> ids = {1, bad};
    EXPECT_THROW(runner.step({{&sequence, ids}}), Error);
  }
  EXPECT_EQ(sequence.length(), 3);
  sequence.truncate(0);
  EXPECT_EQ(runner.logits(sequence, good, 3), before);
  const std::vector<int32_t> many(9, 1);
  EXPECT_THROW(runner.step({{&sequence, many}}), Error) << "more than max_tokens";
  const std::vector<int32_t> rest(8, 1);
  sequence.truncate(0);
  for (int i = 0; i < 4; ++i) runner.step({{&sequence, rest}});
  EXPECT_THROW(runner.step({{&sequence, good}}), Error) << "past the context";
}

TEST(Decoder, ANaNStaysInItsOwnSequence) {
  TinyModel tiny;
  tiny.type = DType::f32;
  tiny.edit = [](const std::string& name, std::vector<float>& values) {
    if (name == "token_embd.weight") values[5 * 32] = std::numeric_limits<float>::quiet_NaN();
  };
  // An own head, or the NaN of row 5 would reach everyone's logit of token 5.
  std::string bytes = test::tiny_gguf(tiny);
  const Checkpoint source = test::checkpoint_of(bytes);
  GgufWriter writer([&] {
    MetadataBuilder keys;
    for (const auto& entry : source.metadata().entries()) keys.add(entry.key, entry.value);
    return keys;
  }());
  for (const TensorEntry& tensor : source.tensors())
    writer.add_tensor(tensor.name, tensor.type, tensor.dims, tensor.data);
  const TensorEntry& k = source.require("blk.0.attn_output.weight");
  std::vector<std::byte> head(k.data.begin(), k.data.begin() + 24 * 32 * 4);
  writer.add_tensor("output.weight", DType::f32, {32, 24}, head);
  const auto model = test::load_bytes(writer.to_bytes());

  const std::vector<int32_t> clean = {1, 2, 3}, poisoned = {4, 5, 6};
  const auto alone = test::all_logits(model, clean, 3, 1);
  CpuDevice device(2);
  Decoder decoder(model, device, 16, 16);
  PagePool pool(Decoder::kv_layout(model->config(), DType::f32), 3);
  // The clean sequence gets pages in which a poisoned one has been.
  for (int round = 0; round < 2; ++round) {
    Sequence a(pool), b(pool);
    a.reserve(3);
    b.reserve(3);
    const std::vector<int32_t> ids = {4, 5, 6, 1, 2, 3};
    const std::vector<SequenceRun> runs = {{a.view(), 0, 3, 0}, {b.view(), 3, 3, 0}};
    const auto rows = decoder.forward({ids, runs, {}});
    EXPECT_FALSE(rows[0].finite);
    EXPECT_TRUE(rows[1].finite);
    EXPECT_EQ(std::vector<float>(rows[1].logits.begin(), rows[1].logits.end()), alone[2]);
  }
}

}  // namespace
}  // namespace weir
