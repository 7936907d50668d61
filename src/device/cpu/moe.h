// Mixture of experts: routing and the matmuls of the chosen experts. Owns the order of the answer:
// experts are added in ascending router rank, ties of the router go to the lower expert id.
#pragma once

#include <cstdint>
#include <vector>

#include "device/cpu/activations.h"
#include "device/cpu/cpu_device.h"
#include "tensor/tensor.h"

namespace weir {

enum class RouterFunction : uint8_t { softmax, sigmoid };

struct MoeLayer {
  const Tensor* router = nullptr;             // {experts, width}
  const float* selection_bias = nullptr;      // {experts}, added for the choice only; or null
  const std::vector<Tensor>* gate = nullptr;  // each {hidden, width}
  const std::vector<Tensor>* up = nullptr;    // each {hidden, width}
  const std::vector<Tensor>* down = nullptr;  // each {width, hidden}
  kernels::Activation activation = kernels::Activation::silu;
  RouterFunction function = RouterFunction::softmax;
  int64_t used = 0;        // experts a token
  bool normalise = false;  // the chosen weights add up to 1
  float weight_scale = 1.0f;
};

/// Memory of the experts of one batch.
class MoeWorkspace {
 public:
  MoeWorkspace() = default;
  MoeWorkspace(int64_t max_tokens, int64_t experts, int64_t used, int64_t width, int64_t hidden);

 private:
  friend void mixture_of_experts(CpuDevice&, Activations&, const MoeLayer&, MoeWorkspace&, float*,
                                 int64_t);
  void route(CpuDevice& device, const Activations& x, const MoeLayer& layer);
  void group_by_expert(int64_t tokens, int64_t experts, int64_t used);

  Activations scores_;                           // {tokens, experts}
  std::vector<int32_t> chosen_;                  // {tokens, used}: expert of each rank
  std::vector<float> weights_;                   // {tokens, used}
  std::vector<int32_t> slot_;                    // {tokens, used}: row in the grouped matrices
  std::vector<int32_t> slot_token_;              // token of each slot
  std::vector<int32_t> first_slot_;              // {experts + 1}: slots of expert e
  Activations input_, hidden_, spare_, output_;  // {tokens * used, …}, grouped by expert
};

/// out row t = sum over ranks of weight * expert(x row t); rows out_stride apart.
void mixture_of_experts(CpuDevice& device, Activations& x, const MoeLayer& layer,
                        MoeWorkspace& work, float* out, int64_t out_stride);

/// The logistic function, the same on every machine.
float sigmoid(float x);

}  // namespace weir
