// Named public model shapes: sizes only, so that hardware can be sized with no download. Sources:
// the config.json files that the vendors publish.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace weir {

struct ModelShape {
  std::string_view name;
  std::string_view architecture;  // GGUF: general.architecture
  int64_t layers, width, hidden;  // hidden: of the feed-forward
  int64_t heads, kv_heads, head_dim;
  int64_t vocabulary, context;
  double rope_base;
  float norm_eps;
  bool tied;  // the head is the embedding
  bool qk_norm;
  int64_t experts = 0, experts_used = 0;  // 0: dense
};

std::span<const ModelShape> model_shapes();

/// Throws invalid_argument with the list, and the nearest name, if there is none.
const ModelShape& model_shape(std::string_view name);

/// Elements of all tensors.
int64_t parameters_of(const ModelShape& shape);

}  // namespace weir
