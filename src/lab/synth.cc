#include "lab/synth.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "formats/gguf_writer.h"
#include "tensor/blocks.h"

namespace weir {
namespace {

/// splitmix64 (Steele, Lea, Flood 2014): fast, and the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Uniform in [-1, 1).
  float symmetric() { return static_cast<float>(static_cast<int32_t>(next() >> 32)) * 0x1p-31f; }

 private:
  uint64_t state_;
};

/// Largest |integer| that a type's blocks can hold, sub-scales included: its scale is chosen so
/// that weights have about the spread that trained models have.
float code_range(DType type) {
  switch (type) {
    case DType::q4_0:
      return 8;
    case DType::q4_1:
      return 15;
    case DType::q5_0:
      return 16;
    case DType::q5_1:
      return 31;
    case DType::q8_0:
    case DType::iq4_nl:
      return 127;
    case DType::q2_k:
      return 3 * 15;
    case DType::q3_k:
      return 4 * 31;
    case DType::q4_k:
      return 15 * 63;
    case DType::q5_k:
      return 31 * 63;
    case DType::q6_k:
      return 32 * 127;
    case DType::iq4_xs:
      return 127 * 31;
    default:
      return 1;
  }
}

/// Where the binary16 scales stand in a block: the scale, then the minimum if there is one.
std::pair<size_t, size_t> scale_places(DType type) {
  switch (type) {
    case DType::q2_k:
      return {offsetof(BlockQ2_K, d), offsetof(BlockQ2_K, dmin)};
    case DType::q3_k:
      return {offsetof(BlockQ3_K, d), 0};
    case DType::q6_k:
      return {offsetof(BlockQ6_K, d), 0};
    case DType::q4_1:
      return {0, offsetof(BlockQ4_1, m)};
    case DType::q5_1:
      return {0, offsetof(BlockQ5_1, m)};
    case DType::q4_k:
      return {0, offsetof(BlockQ4_K, dmin)};
    case DType::q5_k:
      return {0, offsetof(BlockQ5_K, dmin)};
    default:
      return {0, 0};
  }
}

/// Fills `bytes` (whole blocks) with random weights of magnitude up to about `spread`.
void random_blocks(DType type, float spread, Random& random, std::vector<std::byte>& bytes) {
  const DTypeInfo& row = info(type);
  if (row.kind == DTypeClass::real) {
    const auto count = bytes.size() / static_cast<size_t>(row.block_bytes);
    for (size_t i = 0; i < count; ++i) {
      const float value = spread * random.symmetric();
      std::byte* at = bytes.data() + i * static_cast<size_t>(row.block_bytes);
      const uint16_t narrow = type == DType::f16 ? float_to_half(value) : float_to_bfloat(value);
      if (type == DType::f32) {
        std::memcpy(at, &value, sizeof value);
      } else {
        std::memcpy(at, &narrow, sizeof narrow);
      }
    }
    return;
  }
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = random.next();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  const auto [scale_at, min_at] = scale_places(type);
  const float scale = spread / code_range(type), usual = 0.75f;
  for (size_t b = 0; b < bytes.size(); b += static_cast<size_t>(row.block_bytes)) {
    const float s = scale * (usual + 0.25f * random.symmetric());
    const Half d = float_to_half(s);
    std::memcpy(bytes.data() + b + scale_at, &d, sizeof d);
    if (!has_minimum(type)) continue;
    // The minimum centres the weights: half the usual range, against the 63 (Q2_K: 15) steps of
    // K-quants' minima. Weights that lean to one side, however little, make all activations lean,
    // the more the deeper the model is.
    const bool super = row.kind == DTypeClass::block256;
    const float low = super ? spread / (type == DType::q2_k ? 30.0f : 126.0f) : -spread / 2;
    const Half m = float_to_half(usual * low);
    std::memcpy(bytes.data() + b + min_at, &m, sizeof m);
  }
}

constexpr float kSpread = 0.05f;

TensorSource random_tensor(const SynthTensor& tensor, uint64_t seed,
                           const std::function<void(int64_t)>& done) {
  return [tensor, seed, done](const ByteSink& sink) {
    int64_t elements = 1;
    for (const int64_t extent : tensor.dims) elements *= extent;
    int64_t left = bytes_of(tensor.type, elements);
    const int64_t block = info(tensor.type).block_bytes;
    std::vector<std::byte> piece;
    Random random(seed);
    while (left > 0) {
      const int64_t size = std::min<int64_t>(left, (int64_t{1} << 20) / block * block);
      piece.assign(static_cast<size_t>(size), std::byte{0});
      if (tensor.dims.size() == 1) {  // norms: ones
        const float one = 1.0f;
        for (size_t i = 0; i < piece.size(); i += sizeof one)
          std::memcpy(piece.data() + i, &one, sizeof one);
      } else {
        random_blocks(tensor.type, kSpread, random, piece);
      }
      sink(piece);
      left -= size;
      done(size);
    }
  };
}

/// A vocabulary that every SentencePiece-style loader takes: three control tokens, all bytes, then
/// pieces made of a counter.
void add_vocabulary(MetadataBuilder& metadata, int64_t size) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  std::vector<float> scores = {0, 0, 0};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(6);
    scores.push_back(0);
  }
  for (int64_t i = 259; i < size; ++i) {
    tokens.push_back(fmt::format("\xe2\x96\x81w{:x}", i));
    types.push_back(1);
    scores.push_back(-static_cast<float>(i));
  }
  metadata.add("tokenizer.ggml.model", "llama");
  metadata.add("tokenizer.ggml.pre", "default");
  metadata.add("tokenizer.ggml.tokens", tokens);
  metadata.add("tokenizer.ggml.scores", scores);
  metadata.add("tokenizer.ggml.token_type", types);
  metadata.add("tokenizer.ggml.bos_token_id", uint32_t{1});
  metadata.add("tokenizer.ggml.eos_token_id", uint32_t{2});
  metadata.add("tokenizer.ggml.unknown_token_id", uint32_t{0});
}

MetadataBuilder metadata_of(const SynthPlan& plan) {
  const ModelShape& s = plan.shape;
  const std::string arch(s.architecture);
  const auto count = [](int64_t value) { return static_cast<uint32_t>(value); };
  MetadataBuilder m;
  m.add("general.architecture", arch);
  m.add("general.name", fmt::format("{} {} (random weights)", s.name, plan.mix.name));
  m.add("general.alignment", uint32_t{32});
  m.add(arch + ".block_count", count(s.layers));
  m.add(arch + ".context_length", count(s.context));
  m.add(arch + ".embedding_length", count(s.width));
  m.add(arch + ".feed_forward_length", count(s.hidden));
  m.add(arch + ".attention.head_count", count(s.heads));
  m.add(arch + ".attention.head_count_kv", count(s.kv_heads));
  m.add(arch + ".attention.key_length", count(s.head_dim));
  m.add(arch + ".attention.value_length", count(s.head_dim));
  m.add(arch + ".attention.layer_norm_rms_epsilon", s.norm_eps);
  m.add(arch + ".rope.freq_base", static_cast<float>(s.rope_base));
  m.add(arch + ".rope.dimension_count", count(s.head_dim));
  m.add(arch + ".vocab_size", count(s.vocabulary));
  if (s.experts > 0) {
    m.add(arch + ".expert_count", count(s.experts));
    m.add(arch + ".expert_used_count", count(s.experts_used));
    m.add(arch + ".expert_feed_forward_length", count(s.hidden));
  }
  add_vocabulary(m, s.vocabulary);
  return m;
}

/// Layers whose values and down-projections a mix keeps in Q6_K: the first and last eighth, and
/// every third one between.
bool keeps_more_bits(int64_t layer, int64_t layers) {
  const int64_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

/// The type, or F16 where the row is no multiple of its block.
DType fitting(DType type, int64_t columns) {
  return columns % info(type).block_elements == 0 ? type : DType::f16;
}

}  // namespace

std::vector<std::string> type_mix_names() {
  std::vector<std::string> names;
  for (const DTypeInfo& row : all_dtypes()) {
    if (row.kind == DTypeClass::other) continue;
    std::string name(row.name);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    names.push_back(name);
  }
  names.insert(names.end(), {"q4_k_m", "q5_k_m"});
  return names;
}

TypeMix type_mix(std::string_view name) {
  if (name == "q4_k_m" || name == "Q4_K_M") return {"Q4_K_M", DType::q4_k, true, true};
  if (name == "q5_k_m" || name == "Q5_K_M") return {"Q5_K_M", DType::q5_k, true, true};
  const auto type = dtype_by_name(name);
  if (!type || info(*type).kind == DTypeClass::other)
    fail(Code::invalid_argument, "no weight type is called '{}'; the types are: {}", name,
         fmt::join(type_mix_names(), ", "));
  const DTypeInfo& row = info(*type);
  const bool small = row.kind != DTypeClass::real && *type != DType::q8_0;
  return {std::string(row.name), *type, false, small};
}

std::vector<SynthTensor> synth_tensors(const SynthPlan& plan) {
  const ModelShape& s = plan.shape;
  std::vector<SynthTensor> all;
  const auto matrix = [&](std::string name, DType type, std::vector<int64_t> dims) {
    const DType fits = fitting(type, dims[0]);
    all.push_back({std::move(name), fits, std::move(dims)});
  };
  const auto norm = [&](std::string name, int64_t n) {
    all.push_back({std::move(name), DType::f32, {n}});
  };
  const DType base = plan.mix.base;
  const DType head = plan.mix.head_q6 ? DType::q6_k : base;
  matrix("token_embd.weight", s.tied ? head : base, {s.width, s.vocabulary});
  norm("output_norm.weight", s.width);
  if (!s.tied) matrix("output.weight", head, {s.width, s.vocabulary});
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string p = fmt::format("blk.{}.", i);
    const DType careful = plan.mix.mixed && keeps_more_bits(i, s.layers) ? DType::q6_k : base;
    norm(p + "attn_norm.weight", s.width);
    matrix(p + "attn_q.weight", base, {s.width, s.heads * s.head_dim});
    matrix(p + "attn_k.weight", base, {s.width, s.kv_heads * s.head_dim});
    matrix(p + "attn_v.weight", careful, {s.width, s.kv_heads * s.head_dim});
    matrix(p + "attn_output.weight", base, {s.heads * s.head_dim, s.width});
    if (s.qk_norm) {
      norm(p + "attn_q_norm.weight", s.head_dim);
      norm(p + "attn_k_norm.weight", s.head_dim);
    }
    norm(p + "ffn_norm.weight", s.width);
    if (s.experts > 0) {
      matrix(p + "ffn_gate_inp.weight", DType::f32, {s.width, s.experts});
      matrix(p + "ffn_gate_exps.weight", base, {s.width, s.hidden, s.experts});
      matrix(p + "ffn_up_exps.weight", base, {s.width, s.hidden, s.experts});
      matrix(p + "ffn_down_exps.weight", careful, {s.hidden, s.width, s.experts});
    } else {
      matrix(p + "ffn_gate.weight", base, {s.width, s.hidden});
      matrix(p + "ffn_up.weight", base, {s.width, s.hidden});
      matrix(p + "ffn_down.weight", careful, {s.hidden, s.width});
    }
  }
  return all;
}

int64_t synth_bytes(const SynthPlan& plan) {
  int64_t total = 0;
  for (const SynthTensor& tensor : synth_tensors(plan)) {
    int64_t elements = 1;
    for (const int64_t extent : tensor.dims) elements *= extent;
    total += bytes_of(tensor.type, elements);
  }
  return total;
}

void synthesise(const SynthPlan& plan, const std::filesystem::path& path,
                const std::function<void(int64_t, int64_t)>& progress) {
  GgufWriter writer(metadata_of(plan));
  const int64_t total = synth_bytes(plan);
  int64_t written = 0;
  const auto done = [&](int64_t bytes) {
    written += bytes;
    if (progress) progress(written, total);
  };
  uint64_t seed = plan.seed * 1000003;
  for (const SynthTensor& tensor : synth_tensors(plan))
    writer.add_tensor(tensor.name, tensor.type, tensor.dims, random_tensor(tensor, ++seed, done));
  writer.write(path);
}

}  // namespace weir
