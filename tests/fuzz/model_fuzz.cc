// Fuzz target: GGUF bytes into read_gguf(), Model::from() and a forward pass of two tokens, with
// attention and logits. An error must be a typed one. The mutator starts from tiny models of every
// family and changes values of named keys and dimensions of named tensors.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../support/runner.h"
#include "../support/tiny_model.h"
#include "base/error.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using Random = std::minstd_rand;

size_t below(Random& random, size_t bound) {
  return std::uniform_int_distribution<size_t>(0, bound - 1)(random);
}

const std::vector<std::string>& seeds() {
  static const std::vector<std::string> list = [] {
    std::vector<std::string> all;
    for (const auto& family : weir::families()) {
      weir::test::TinyModel model;
      model.family = family.name;
      model.width = 16;
      model.hidden = 16;
      model.vocabulary = 16;
      model.context = 16;
      if (family.name.ends_with("moe")) model.experts = 3;
      all.push_back(weir::test::tiny_gguf(model));
      model.width = model.hidden = 32;
      model.type = weir::DType::q4_0;
      all.push_back(weir::test::tiny_gguf(model));
    }
    weir::test::TinyModel with_text;
    with_text.tokenizer = true;
    with_text.width = with_text.hidden = 16;
    with_text.vocabulary = 300;
    all.push_back(weir::test::tiny_gguf(with_text));
    return all;
  }();
  return list;
}

/// Parts of names; what follows the name in the file is its value or its shape.
constexpr std::array<std::string_view, 30> kNames = {
    ".context_length",      ".embedding_length",   ".block_count",
    ".feed_forward_length", ".head_count",         ".head_count_kv",
    ".key_length",          ".value_length",       "epsilon",
    ".dimension_count",     ".freq_base",          ".expert_count",
    ".expert_used_count",   "expert_feed_forward", "expert_shared_feed",
    "bos_token_id",         "eos_token_id",        "unknown_token_id",
    "token_embd.weight",    "attn_q.weight",       "attn_k.weight",
    "attn_v.weight",        "attn_output.weight",  "ffn_up.weight",
    "ffn_down.weight",      "ffn_gate.weight",     "attn_norm.weight",
    "ffn_gate_exps.weight", "output_norm.weight",  "general.architecture"};

constexpr std::array<uint64_t, 14> kEdges = {0,
                                             1,
                                             2,
                                             3,
                                             16,
                                             17,
                                             0x7fffffff,
                                             0x80000000,
                                             0xffffffff,
                                             0x3f800000,
                                             0x7fc00000,
                                             0x7f800000,
                                             0xffffffffffffffff,
                                             64};

/// Changes the four bytes at one of the words after a name.
void change_named(uint8_t* data, size_t size, Random& random) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view name = kNames[below(random, kNames.size())];
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return;
  const size_t word = at + name.size() + 4 * below(random, 4);
  if (word + 4 > size) return;
  uint64_t value = kEdges[below(random, kEdges.size())];
  if (below(random, 3) == 0) {
    uint32_t old;
    std::memcpy(&old, data + word, 4);
    value = below(random, 2) == 0 ? old + 1 : old - 1;
  }
  std::memcpy(data + word, &value, 4);
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  Random random(seed);
  if (size < 64 || below(random, 16) == 0) {
    const std::string& start = seeds()[below(random, seeds().size())];
    if (start.size() <= max_size) {
      std::memcpy(data, start.data(), start.size());
      size = start.size();
    }
  }
  if (below(random, 8) == 0) return LLVMFuzzerMutate(data, size, max_size);
  for (size_t i = 1 + below(random, 3); i > 0; --i) change_named(data, size, random);
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const auto model = weir::Model::from(weir::read_gguf(bytes, "fuzz"));
    weir::test::Runner runner(model, 1, weir::DType::f16,
                              std::min<int64_t>(model->config().context, 40), 2);
    weir::Sequence sequence(runner.pool());
    const std::vector<int32_t> ids = {0, 1};
    runner.logits(sequence, std::span(ids).first(runner.decoder().context() > 1 ? 2 : 1), 2);
  } catch (const weir::Error& error) {
    if (error.code() == weir::Code::internal) std::abort();
  }
  return 0;
}
