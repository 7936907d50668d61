// What read_tokenizer makes of GGUF keys where the format says less than the published tokenizer.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "formats/checkpoint.h"
#include "formats/metadata.h"
#include "formats/open.h"
#include "model/model.h"
#include "support/shared_data.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace weir {
namespace {

std::shared_ptr<const Tokenizer> tokenizer_of(const MetadataBuilder& keys) {
  Checkpoint::Parts parts;
  parts.metadata = keys.build();
  return read_tokenizer(Checkpoint(std::move(parts)));
}

/// The added tokens of both files that have the same rules: those of the vision model, whose
/// tokenizer.json is the oracle, and those of the vocabulary of Phi-3 mini.
TEST(ReadTokenizer, Phi3TokensSwallowTheWhiteSpaceAfterThem) {
  const auto gguf = test::shared_data("tokenizers/ggml-vocab/ggml-vocab-phi-3.gguf");
  const auto json = test::shared_data("tokenizers/hf-json/phi3-v.tokenizer.json");
  if (!gguf || !json) GTEST_SKIP() << "the shared vocabularies of Phi-3 are absent";
  const auto ours = read_tokenizer(open_checkpoint(*gguf));
  const auto published = Tokenizer::create(from_tokenizer_json(read_file(*json), ""));
  ASSERT_TRUE(ours);
  for (const char* text :
       {"<|assistant|>\nHello", "<|assistant|> \n\t Hello", "x </s> y", "<|placeholder1|>  a",
        "a \n<|assistant|>", "<|endoftext|>\nHello", "<s>\nHello", "<|assistant|>\n"}) {
    const Tokenizer::EncodeOptions options{.add_special = false, .parse_special = true};
    EXPECT_EQ(ours->encode(text, options), published->encode(text, options)) << text;
  }
  const auto plain = ours->encode("Hi", {.add_special = false});
  for (const char* name : {"<|user|>", "<|system|>", "<|end|>"}) {
    std::vector<int32_t> wanted = {ours->find(name).value()};
    wanted.insert(wanted.end(), plain.begin(), plain.end());
    EXPECT_EQ(
        ours->encode(std::string(name) + "\nHi", {.add_special = false, .parse_special = true}),
        wanted);
  }
}

TEST(ReadTokenizer, UnknownPreTokenizerIsRefusedWithTheKnownNames) {
  MetadataBuilder keys;
  keys.add("general.architecture", "llama");
  keys.add("tokenizer.ggml.model", "gpt2");
  keys.add("tokenizer.ggml.pre", "no-such-model");
  keys.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  keys.add("tokenizer.ggml.merges", std::vector<std::string>{});
  try {
    tokenizer_of(keys);
    FAIL() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unsupported);
    const std::string message = error.what();
    for (const char* part : {"no-such-model", "llama-bpe", "qwen2", "deepseek-v3"})
      EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace weir
