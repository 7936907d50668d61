#include "decoding/sampling_params.h"

namespace weir {
namespace {

using S = SamplingParams;

OptionRange between(double minimum, double maximum) {
  OptionRange range;
  range.minimum = minimum;
  range.maximum = maximum;
  return range;
}

OptionRange at_most(size_t items, size_t bytes_each) {
  OptionRange range;
  range.max_items = items;
  range.max_bytes = bytes_each;
  return range;
}

// More tokens than any context holds; keeps sums of counts far from overflow.
constexpr double kManyTokens = 1 << 30;

void add_shape(OptionTable<S>& table) {
  table.add({"temperature", "temp", {"temp"}}, &S::temperature, between(0, 100),
            "Randomness: 0 always takes the likeliest token, 1 draws as the model says");
  table.add({"top_k"}, &S::top_k, between(0, kManyTokens),
            "Draw only from the K likeliest tokens; 0 turns it off");
  table.add({"top_p"}, &S::top_p, between(0, 1),
            "Draw only from the likeliest tokens that together have this probability; 1 is off");
  table.add({"min_p"}, &S::min_p, between(0, 1),
            "Drop tokens less likely than this share of the likeliest one; 0 is off");
  table.add({"typical_p", "typical", {"typical"}}, &S::typical_p, between(0, 1),
            "Locally typical sampling: keep this much probability; 1 is off");
  OptionRange mirostat;
  mirostat.choices = {0, 2};
  table.add({"mirostat"}, &S::mirostat, mirostat,
            "2 keeps the surprise of the text near a target, instead of top-k, top-p, min-p, "
            "typical and XTC; 0 is off");
  table.add({"mirostat_tau", "mirostat-ent", {"mirostat_ent"}}, &S::mirostat_tau, between(0, 20),
            "Mirostat: target surprise in bits");
  table.add({"mirostat_eta", "mirostat-lr", {"mirostat_lr"}}, &S::mirostat_eta, between(0, 1),
            "Mirostat: learning rate");
  table.add({"xtc_probability"}, &S::xtc_probability, between(0, 1),
            "XTC: chance that the likeliest tokens are left out; 0 is off");
  table.add({"xtc_threshold"}, &S::xtc_threshold, between(0, 1),
            "XTC: probability from which a token counts as likely; above 0.5 is off");
}

void add_penalties(OptionTable<S>& table) {
  table.add({"repeat_penalty", "", {"repetition_penalty"}}, &S::repeat_penalty, between(0.125, 100),
            "Make repeated tokens less likely by this factor; 1 is off");
  table.add({"repeat_last_n"}, &S::repeat_last_n, between(-1, kManyTokens),
            "How many tokens the repeat, presence and frequency penalties look back; -1 is all");
  table.add({"presence_penalty"}, &S::presence_penalty, between(-100, 100),
            "Subtracted from the logit of tokens that occurred; 0 is off");
  table.add({"frequency_penalty"}, &S::frequency_penalty, between(-100, 100),
            "Subtracted from the logit of a token for each time it occurred; 0 is off");
  table.add({"dry_multiplier"}, &S::dry_multiplier, between(0, 100),
            "DRY: strength of the penalty on repeating sequences; 0 is off");
  table.add({"dry_base"}, &S::dry_base, between(1, 100),
            "DRY: growth of the penalty with each further repeated token");
  table.add({"dry_allowed_length"}, &S::dry_allowed_length, between(0, kManyTokens),
            "DRY: longest repetition without penalty");
  table.add({"dry_penalty_last_n"}, &S::dry_penalty_last_n, between(-1, kManyTokens),
            "DRY: how many tokens it looks back; -1 is all");
  table.add({"dry_sequence_breakers", "dry-sequence-breaker"}, &S::dry_sequence_breakers,
            at_most(64, 64), "DRY: texts over which no repetition reaches");
}

void add_rest(OptionTable<S>& table) {
  OptionRange bias = between(-100, 100);
  bias.allow_minus_infinity = true;
  bias.max_items = 1024;
  table.add({"logit_bias"}, &S::logit_bias, bias,
            "Added to the logits of token ids: ID=NUMBER[,ID=NUMBER...]; -inf bans a token");
  table.add({"ignore_eos"}, &S::ignore_eos, {}, "Never draw the token that ends the answer");
  table.add({"seed", "", {}, "random"}, &S::seed, {},
            "Same seed, same text; 'random' takes another one each time");
  table.add({"stop", "", {"reverse-prompt"}}, &S::stop, at_most(16, 1024),
            "End the answer before this text");
  OptionRange ids = between(0, kManyTokens);
  ids.max_items = 64;
  table.add({"stop_ids", "stop-id", {"stop_token_ids"}}, &S::stop_ids, ids,
            "End the answer at this token id");
  table.add({"max_tokens", "", {"n_predict"}}, &S::max_tokens, between(-1, kManyTokens),
            "Longest answer in tokens; -1 goes on until the context is full");
  table.add(
      {"logprobs"}, &S::logprobs, between(-1, 20),
      "Report log-probabilities: 0 of the token taken, N also of the N likeliest; -1 is none");
}

}  // namespace

const OptionTable<SamplingParams>& sampling_options() {
  static const OptionTable<SamplingParams> kTable = [] {
    OptionTable<SamplingParams> table;
    add_shape(table);
    add_penalties(table);
    add_rest(table);
    return table;
  }();
  return kTable;
}

}  // namespace weir
