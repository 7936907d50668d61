// The set of tokens that may still be drawn, and the truncations that shrink it. Owns selection by
// probability; refuses randomness. Every operation is defined on the set alone: ties go to the
// lower token id, sums are exact (decoding/softmax.h), so the order of the items in memory never
// matters. No operation removes the last candidate, and none sorts the whole vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weir {

struct Candidate {
  int32_t id;
  float logit;
};

/// Likelier first, lower id first among equals.
inline bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/// The k likeliest of a vocabulary (all if k is 0), tokens of -inf left out, in no stated order.
void select_top(std::span<const float> logits, size_t k, std::vector<Candidate>& result);

/// Error{invalid_argument}: every token of a vocabulary is banned.
[[noreturn]] void fail_all_banned(size_t vocab_size);

class CandidateSet {
 public:
  /// All candidates of finite logits, or the `top_k` likeliest of them if top_k > 0.
  /// Error{invalid_argument} if every token is banned (-inf).
  void fill(std::span<const float> logits, size_t top_k);

  // Each keeps a subset; probabilities are the softmax over the set as it stands before the call.

  /// Smallest set of the tokens nearest to the expected surprise with at least probability p
  /// together (Meister et al. 2022, locally typical sampling).
  void keep_typical(double p);
  /// Smallest set of the likeliest tokens with at least probability p together (Holtzman et al.
  /// 2020, nucleus sampling).
  void keep_top_p(double p);
  /// Tokens of at least min_p times the largest probability (Nguyen et al. 2024).
  void keep_min_p(double min_p);
  /// XTC (p-e-w, text-generation-webui #6335): of the tokens of at least probability `threshold`,
  /// all but the least likely go.
  void exclude_top(double threshold);
  /// Tokens of at least `probability`, and always the likeliest.
  void keep_probable(double probability);

  /// Changes the softmax from here on to that of logit / temperature; temperature > 0.
  void set_temperature(float temperature);

  std::span<const Candidate> items() const { return items_; }
  /// Mass of each item (same order) and of all; see decoding/softmax.h.
  std::span<const uint64_t> masses() const { return masses_; }
  uint64_t total() const { return total_; }

  struct Weighed {
    Candidate item;
    uint64_t mass;
  };

  /// The item at which the running sum of masses, in the order of ids, passes `mark` < total().
  Weighed pick(uint64_t mark);

 private:
  template <typename Before>
  size_t split_by_mass(uint64_t needed, uint64_t floor, Before before);
  template <typename Before>
  void keep_mass(uint64_t needed, uint64_t floor, Before before);
  template <typename Keep>
  void filter(Keep keep);
  void weigh();

  std::vector<Candidate> items_;
  std::vector<uint64_t> masses_;
  uint64_t total_ = 0;
  float top_ = 0;  // largest logit
  float temperature_ = 1;
  std::vector<Weighed> scratch_;
  std::vector<float> logits_;
};

}  // namespace weir
