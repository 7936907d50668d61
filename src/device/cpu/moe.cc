// Tokens are grouped by expert, so that an expert's weights are read once a batch. Every thread
// takes the same part of the rows of each expert: no barrier between experts.
#include "device/cpu/moe.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "base/math.h"
#include "device/cpu/linear.h"

namespace weir {
namespace {

struct Share {
  int64_t first, last;
};
Share share_of(int64_t rows, int thread, int threads) {
  const int64_t units = div_up(rows, kRowUnit);
  return {std::min(rows, units * thread / threads * kRowUnit),
          std::min(rows, units * (thread + 1) / threads * kRowUnit)};
}

/// Chooses `used` experts of one token by falling score. NaN counts as the highest score, so that
/// it reaches the output instead of being passed over.
void choose(const float* scores, const float* bias, int64_t experts, int64_t used, int32_t* chosen,
            float* weights) {
  for (int64_t rank = 0; rank < used; ++rank) {
    int64_t best = -1;
    float best_score = -std::numeric_limits<float>::infinity();
    for (int64_t e = 0; e < experts; ++e) {
      if (std::find(chosen, chosen + rank, static_cast<int32_t>(e)) != chosen + rank) continue;
      float score = bias != nullptr ? scores[e] + bias[e] : scores[e];
      if (std::isnan(score)) score = std::numeric_limits<float>::infinity();
      if (best < 0 || score > best_score) {
        best = e;
        best_score = score;
      }
    }
    chosen[rank] = static_cast<int32_t>(best);
    weights[rank] = scores[best];
  }
}

Forms forms_of(const std::vector<Tensor>& weights) {
  Forms forms = Forms::real;
  for (const Tensor& weight : weights) forms = forms | form_of(weight.type);
  return forms;
}

}  // namespace

float sigmoid(float x) {
  return static_cast<float>(1.0 / (1.0 + math::exp(-static_cast<double>(x))));
}

MoeWorkspace::MoeWorkspace(int64_t max_tokens, int64_t experts, int64_t used, int64_t width,
                           int64_t hidden)
    : scores_(max_tokens, experts) {
  const auto slots = static_cast<size_t>(max_tokens * used);
  chosen_.resize(slots);
  weights_.resize(slots);
  slot_.resize(slots);
  slot_token_.resize(slots);
  first_slot_.resize(static_cast<size_t>(experts) + 1);
  input_ = Activations(max_tokens * used, width);
  hidden_ = Activations(max_tokens * used, hidden);
  spare_ = Activations(max_tokens * used, hidden);
  output_ = Activations(max_tokens * used, width);
}

void MoeWorkspace::route(CpuDevice& device, const Activations& x, const MoeLayer& layer) {
  const int64_t experts = layer.router->rows(), used = layer.used;
  device.for_each_row(x.rows(), experts * used, [&](int64_t t, int) {
    float* const scores = scores_.row(t);
    if (layer.function == RouterFunction::softmax)
      device.table().softmax(scores, experts);
    else
      for (int64_t e = 0; e < experts; ++e) scores[e] = sigmoid(scores[e]);
    float* const weights = weights_.data() + t * used;
    choose(scores, layer.selection_bias, experts, used, chosen_.data() + t * used, weights);
    if (layer.normalise) {
      float sum = 0.0f;
      for (int64_t i = 0; i < used; ++i) sum += weights[i];
      for (int64_t i = 0; i < used; ++i) weights[i] /= sum;
    }
    for (int64_t i = 0; i < used; ++i) weights[i] *= layer.weight_scale;
  });
}

void MoeWorkspace::group_by_expert(int64_t tokens, int64_t experts, int64_t used) {
  std::fill(first_slot_.begin(), first_slot_.end(), 0);
  const auto slots = static_cast<size_t>(tokens * used);
  for (size_t i = 0; i < slots; ++i) ++first_slot_[static_cast<size_t>(chosen_[i]) + 1];
  for (size_t e = 0; e < static_cast<size_t>(experts); ++e) first_slot_[e + 1] += first_slot_[e];
  for (size_t i = 0; i < slots; ++i) {
    const int32_t slot = first_slot_[static_cast<size_t>(chosen_[i])]++;
    slot_[i] = slot;
    slot_token_[static_cast<size_t>(slot)] = static_cast<int32_t>(i / static_cast<size_t>(used));
  }
  // Counting up moved every start to the next one's place.
  std::move_backward(first_slot_.begin(), first_slot_.end() - 1, first_slot_.end());
  first_slot_[0] = 0;
}

void mixture_of_experts(CpuDevice& device, Activations& x, const MoeLayer& layer,
                        MoeWorkspace& work, float* out, int64_t out_stride) {
  const int64_t tokens = x.rows(), experts = layer.router->rows(), used = layer.used;
  const auto count = static_cast<size_t>(experts);
  WEIR_CHECK(used >= 1 && used <= experts && layer.gate->size() == count &&
                 layer.up->size() == count && layer.down->size() == count,
             "{} of {} experts, {} given", used, experts, layer.up->size());
  const int64_t hidden = (*layer.up)[0].rows(), width = x.width();
  work.scores_.reset(tokens, experts);
  const Projection router{
      .weight = layer.router, .out = work.scores_.row(0), .out_stride = work.scores_.stride()};
  matmul(device, x, {&router, 1});
  work.route(device, x, layer);
  work.group_by_expert(tokens, experts, used);

  x.ensure(device, forms_of(*layer.gate) | forms_of(*layer.up));
  const int64_t slots = tokens * used;
  Activations& input = work.input_;
  input.reset(slots, width);
  input.declare(x.valid());
  device.for_each_row(slots, width, [&](int64_t slot, int) {
    input.copy_row(slot, x, work.slot_token_[static_cast<size_t>(slot)]);
  });

  const kernels::KernelTable& table = device.table();
  Activations &h = work.hidden_, &spare = work.spare_, &y = work.output_;
  h.reset(slots, hidden);
  spare.reset(slots, hidden);
  y.reset(slots, width);
  device.run(slots * hidden * width, [&](int thread, int threads) {
    const auto [first, last] = share_of(hidden, thread, threads);
    for (size_t e = 0; e < count; ++e) {
      const int64_t begin = work.first_slot_[e], n = work.first_slot_[e + 1] - begin;
      if (n == 0) continue;
      matmul_rows(device, thread, (*layer.gate)[e], first, last, input, begin, n, h.row(begin),
                  h.stride(), (*layer.up)[e].row(first));
      matmul_rows(device, thread, (*layer.up)[e], first, last, input, begin, n, spare.row(begin),
                  spare.stride());
      for (int64_t s = begin; s < begin + n; ++s)
        table.activate(layer.activation, h.row(s) + first, spare.row(s) + first, last - first,
                       h.row(s) + first);
    }
  });
  h.ensure(device, forms_of(*layer.down));
  device.run(slots * hidden * width, [&](int thread, int threads) {
    const auto [first, last] = share_of(width, thread, threads);
    for (size_t e = 0; e < count; ++e) {
      const int64_t begin = work.first_slot_[e], n = work.first_slot_[e + 1] - begin;
      matmul_rows(device, thread, (*layer.down)[e], first, last, h, begin, n, y.row(begin),
                  y.stride());
    }
  });
  device.for_each_row(tokens, used * width, [&](int64_t t, int) {
    float* const to = out + t * out_stride;
    for (int64_t rank = 0; rank < used; ++rank) {
      const auto i = static_cast<size_t>(t * used + rank);
      const float weight = work.weights_[i];
      const float* const from = y.row(work.slot_[i]);
      for (int64_t c = 0; c < width; ++c)
        to[c] = rank == 0 ? weight * from[c] : to[c] + weight * from[c];
    }
  });
}

}  // namespace weir
