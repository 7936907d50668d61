#include "decoding/sampler.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/math.h"
#include "decoding/random.h"
#include "decoding/softmax.h"

namespace weir {
namespace {

constexpr double kLn2 = 0x1.62e42fefa39efp-1;

int32_t argmax(std::span<const float> logits) {
  const float best = largest(logits);
  if (best == -std::numeric_limits<float>::infinity()) fail_all_banned(logits.size());
  return static_cast<int32_t>(std::find(logits.begin(), logits.end(), best) - logits.begin());
}

}  // namespace

Sampler::Sampler(const SamplingParams& params, SamplerVocab vocab)
    : params_(params),
      vocab_(std::move(vocab)),
      mu_(2.0 * static_cast<double>(params.mirostat_tau)) {
  WEIR_CHECK(vocab_.size >= 1 && static_cast<size_t>(vocab_.size) <= kMaxVocab, "vocabulary of {}",
             vocab_.size);
  sampling_options().check(params_);
  WEIR_CHECK(params_.seed || params_.temperature == 0, "the seed is not set");
  std::span<const int32_t> banned;
  if (params_.ignore_eos) banned = vocab_.end_ids;
  if (!params_.logit_bias.empty() || !banned.empty()) {
    processors_.push_back(make_logit_bias(params_.logit_bias, banned, vocab_.size));
  }
  if (params_.repeat_last_n != 0 && (params_.repeat_penalty != 1 || params_.presence_penalty != 0 ||
                                     params_.frequency_penalty != 0)) {
    processors_.push_back(make_penalties(params_, vocab_.size));
  }
  if (params_.dry_multiplier != 0 && params_.dry_penalty_last_n != 0) {
    processors_.push_back(make_dry(params_, vocab_.dry_breaker_ids, vocab_.size));
  }
}

void Sampler::add(std::unique_ptr<LogitsProcessor> processor) {
  processors_.push_back(std::move(processor));
}

std::span<const float> Sampler::processed(std::span<const float> logits,
                                          std::span<const int32_t> history) {
  WEIR_CHECK(logits.size() == static_cast<size_t>(vocab_.size), "{} logits for a vocabulary of {}",
             logits.size(), vocab_.size);
  check_finite(logits);
  if (processors_.empty()) return logits;
  work_.assign(logits.begin(), logits.end());
  for (const auto& processor : processors_) processor->process(work_, history);
  return work_;
}

uint64_t Sampler::truncate(std::span<const float> logits, int64_t position) {
  const SamplingParams& p = params_;
  const bool mirostat = p.mirostat != 0;
  set_.fill(logits, mirostat ? 0 : static_cast<size_t>(p.top_k));
  if (!mirostat) {
    if (p.typical_p < 1) set_.keep_typical(p.typical_p);
    if (p.top_p < 1) set_.keep_top_p(p.top_p);
    if (p.min_p > 0) set_.keep_min_p(p.min_p);
    if (p.xtc_probability > 0 && p.xtc_threshold <= 0.5f &&
        random_uniform(*p.seed, position, DrawPurpose::xtc) <
            static_cast<double>(p.xtc_probability)) {
      set_.exclude_top(p.xtc_threshold);
    }
  }
  set_.set_temperature(p.temperature);
  const uint64_t total = set_.total();
  // Surprise is -log2 p, so p >= 2^-mu.
  if (mirostat) set_.keep_probable(math::pow(2, -mu_));
  return total;
}

void Sampler::report(std::span<const float> logits, Sampled& result) {
  const float top = largest(logits);
  const double log_total =
      math::log(static_cast<double>(total_mass(logits, top)) / kMassOne) + static_cast<double>(top);
  const auto logprob = [&](float logit) { return static_cast<double>(logit) - log_total; };
  result.logprob = logprob(logits[static_cast<size_t>(result.id)]);
  top_logprobs_.clear();
  if (params_.logprobs > 0) {
    select_top(logits, static_cast<size_t>(params_.logprobs), top_);
    std::sort(top_.begin(), top_.end(), likelier);
    for (const Candidate& item : top_) top_logprobs_.push_back({item.id, logprob(item.logit)});
  }
  result.top = top_logprobs_;
}

Sampled Sampler::sample(std::span<const float> logits, std::span<const int32_t> history,
                        int64_t position) {
  const auto adjusted = processed(logits, history);
  Sampled result;
  if (params_.temperature == 0) {
    result.id = argmax(adjusted);
    if (params_.logprobs >= 0) report(logits, result);
    return result;
  }
  const uint64_t total = truncate(adjusted, position);
  const auto chosen =
      set_.pick(random_below(set_.total(), *params_.seed, position, DrawPurpose::token));
  result.id = chosen.item.id;
  if (params_.mirostat != 0) {
    const double surprise =
        -math::log(static_cast<double>(chosen.mass) / static_cast<double>(total)) / kLn2;
    mu_ -= static_cast<double>(params_.mirostat_eta) *
           (surprise - static_cast<double>(params_.mirostat_tau));
  }
  if (params_.logprobs >= 0) report(logits, result);
  return result;
}

std::vector<TokenProbability> Sampler::probabilities(std::span<const float> logits,
                                                     std::span<const int32_t> history,
                                                     int64_t position) {
  const auto adjusted = processed(logits, history);
  if (params_.temperature == 0) return {{argmax(adjusted), 1.0}};
  truncate(adjusted, position);
  std::vector<TokenProbability> result;
  for (size_t i = 0; i < set_.items().size(); ++i) {
    result.push_back({set_.items()[i].id,
                      static_cast<double>(set_.masses()[i]) / static_cast<double>(set_.total())});
  }
  std::sort(result.begin(), result.end(),
            [](const TokenProbability& a, const TokenProbability& b) { return a.id < b.id; });
  return result;
}

}  // namespace weir
