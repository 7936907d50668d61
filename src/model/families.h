// The table of decoder families: one row says how a family differs from the Llama layout.
// Everything that a file states itself (sizes, scales) is read from the file; a row holds what the
// architecture fixes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/config.h"

namespace weir {

struct Family {
  std::string_view name;                     // GGUF: general.architecture
  std::array<std::string_view, 3> hf_types;  // Hugging Face: model_type
  NormKind norm = NormKind::rms;
  bool pre_norm = true;
  bool post_norm = false;
  QkNorm qk_norm = QkNorm::none;
  kernels::Activation activation = kernels::Activation::silu;
  bool gated = true;
  bool fused_gate = false;
  bool parallel_residual = false;  // the file's use_parallel_residual goes before
  bool learned_positions = false;
  /// How GGUF files of this family hold q and k; Hugging Face files are always `split`.
  RopeMode gguf_rope = RopeMode::split;
  bool scale_embedding = false;    // by sqrt(width)
  bool norm_plus_one = false;      // Hugging Face files hold norm weights minus one
  bool normalise_experts = false;  // chosen expert weights add up to 1, unless the file says
  int64_t window_period = 1;       // every period-th layer is not windowed; 1: all are windowed
  int64_t window_default = 0;      // tokens, if the file has no window
  double rope_base = 10000.0;      // unless the file says
  double local_rope_base = 0.0;    // of windowed layers, unless the file says; 0: the same
  double attention_softcap = 0.0, logit_softcap = 0.0;  // unless the file says
  /// GGUF files do not state the query scale of the 27B models of Gemma 2 and 3: with this many
  /// layers it is 1 / sqrt(width / heads).
  int64_t layers_scaled_by_width = 0;
};

std::span<const Family> families();

/// The row of a GGUF architecture or a Hugging Face model_type. Throws unsupported with the list of
/// known names.
const Family& family_of_gguf(std::string_view architecture);
const Family& family_of_hf(std::string_view model_type);

/// A configuration with what the row fixes.
DecoderConfig start_config(const Family& family);

}  // namespace weir
