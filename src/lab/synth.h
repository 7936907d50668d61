// Makes valid model files with random weights of a named public shape, in any quantised type or
// mix, so that hardware can be sized with no download and other engines can load the same file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/shapes.h"
#include "tensor/dtype.h"

namespace weir {

/// Types of the tensors of a file: one type ("q4_0"; the head of small types is Q6_K), or a named
/// mix ("q4_k_m", "q5_k_m") that keeps attention values and some down-projections in Q6_K.
struct TypeMix {
  std::string name;  // as written to the file's name
  DType base = DType::q8_0;
  bool mixed = false;
  bool head_q6 = false;
};

/// Throws invalid_argument with the list if there is no such type.
TypeMix type_mix(std::string_view name);
std::vector<std::string> type_mix_names();

struct SynthPlan {
  ModelShape shape;
  TypeMix mix;
  uint64_t seed = 1;
};

/// One tensor of a synthetic file, dims innermost first.
struct SynthTensor {
  std::string name;
  DType type = DType::f32;
  std::vector<int64_t> dims;
};
std::vector<SynthTensor> synth_tensors(const SynthPlan& plan);

/// Bytes of all tensors.
int64_t synth_bytes(const SynthPlan& plan);

/// Writes the file; `progress` gets bytes done and bytes in all.
void synthesise(const SynthPlan& plan, const std::filesystem::path& path,
                const std::function<void(int64_t, int64_t)>& progress);

}  // namespace weir
