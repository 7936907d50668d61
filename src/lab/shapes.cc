#include "lab/shapes.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "base/options.h"

namespace weir {
namespace {

// name, architecture, layers, width, hidden, heads, kv, head_dim, vocabulary, context, rope base,
// eps, tied, qk norm
constexpr ModelShape kShapes[] = {
    {"stories-15m", "llama", 6, 288, 768, 6, 6, 48, 32000, 256, 1e4, 1e-5f, true, false},
    {"smollm2-135m", "llama", 30, 576, 1536, 9, 3, 64, 49152, 8192, 1e5, 1e-5f, true, false},
    {"tinyllama-1.1b", "llama", 22, 2048, 5632, 32, 4, 64, 32000, 2048, 1e4, 1e-5f, false, false},
    {"llama-3.2-1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, 131072, 5e5, 1e-5f, true, false},
    {"llama-3.2-3b", "llama", 28, 3072, 8192, 24, 8, 128, 128256, 131072, 5e5, 1e-5f, true, false},
    {"llama-3.1-8b", "llama", 32, 4096, 14336, 32, 8, 128, 128256, 131072, 5e5, 1e-5f, false,
     false},
    {"mistral-7b", "llama", 32, 4096, 14336, 32, 8, 128, 32000, 32768, 1e4, 1e-5f, false, false},
    {"qwen3-0.6b", "qwen3", 28, 1024, 3072, 16, 8, 128, 151936, 40960, 1e6, 1e-6f, true, true},
    {"qwen3-1.7b", "qwen3", 28, 2048, 6144, 16, 8, 128, 151936, 40960, 1e6, 1e-6f, true, true},
    {"qwen3-4b", "qwen3", 36, 2560, 9728, 32, 8, 128, 151936, 40960, 1e6, 1e-6f, true, true},
    {"qwen3-8b", "qwen3", 36, 4096, 12288, 32, 8, 128, 151936, 40960, 1e6, 1e-6f, false, true},
    {"qwen3-30b-a3b", "qwen3moe", 48, 2048, 768, 32, 4, 128, 151936, 40960, 1e6, 1e-6f, false, true,
     128, 8},
};

}  // namespace

std::span<const ModelShape> model_shapes() { return kShapes; }

const ModelShape& model_shape(std::string_view name) {
  std::vector<std::string> names;
  std::string list;
  for (const ModelShape& shape : kShapes) {
    if (shape.name == name) return shape;
    names.emplace_back(shape.name);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  const auto near = nearest_name(name, names);
  fail(Code::invalid_argument, "no shape is called '{}'{}; the shapes are: {}", name,
       near ? fmt::format(" (did you mean '{}'?)", *near) : "", list);
}

int64_t parameters_of(const ModelShape& s) {
  const int64_t attention = s.width * s.head_dim * (2 * s.heads + 2 * s.kv_heads);
  const int64_t experts = s.experts > 0 ? s.experts : 1;
  const int64_t feed_forward = 3 * s.width * s.hidden * experts + s.experts * s.width;
  const int64_t norms = 2 * s.width + (s.qk_norm ? 2 * s.head_dim : 0);
  const int64_t tables = s.vocabulary * s.width * (s.tied ? 1 : 2);
  return s.layers * (attention + feed_forward + norms) + tables + s.width;
}

}  // namespace weir
