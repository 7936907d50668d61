// Taking, planning and ending requests. Admission, preemption and pages are in scheduler_pages.cc.
#include "engine/scheduler.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"

namespace weir {

using kernels::kPageTokens;

namespace {

// Steps in which a prompt takes part, as a multiple of those without: 2 is promised at the 99th
// percentile, and machines are uneven.
constexpr double kPace = 1.6;

// Pages brought from the store in one step: running streams wait for them.
constexpr int64_t kRestoredBesideOthers = 8, kRestoredAlone = 64;

/// Room for `count`, growing as push_back() does.
template <typename T>
void reserve_more(std::vector<T>& v, size_t count) {
  if (v.capacity() < count) v.reserve(std::max(count, 2 * v.capacity()));
}

}  // namespace

Scheduler::Scheduler(PagePool& pool, PrefixIndex& index, SwapSpace* swap, SchedulerLimits limits)
    : pool_(pool),
      index_(index),
      swap_(swap),
      limits_(limits),
      // A request that runs alone keeps no one waiting.
      budget_(limits.running > 1 ? TokenBudget(kPace, kLongestStep) : TokenBudget(kPace)) {
  WEIR_CHECK(limits.running >= 1 && limits.step_tokens >= limits.running);
  const auto running = static_cast<size_t>(limits.running);
  running_.reserve(running);
  prefill_.reserve(running);
  plan_.runs.reserve(running);
  budget_.expect_streams(limits.running);
}

Scheduler::~Scheduler() {
  for (Request& r : running_) end_request(r);
  for (Request& r : waiting_) end_request(r);
}

Scheduler::Waiting::iterator Scheduler::place_of(const RequestState& r) {
  return std::lower_bound(waiting_.begin(), waiting_.end(), r.order,
                          [](const Request& a, const auto& order) { return a->order < order; });
}

uint64_t Scheduler::submit(NewRequest request, double now) {
  const auto length = static_cast<int64_t>(request.tokens.size());
  WEIR_CHECK(length >= 1 && request.limit >= length);
  const int64_t pages = div_up(request.limit, kPageTokens);
  if (pages > pool_.pages())
    fail(
        Code::limit_exceeded,
        "the request may need {} tokens of KV cache, all in all there are {}; ask for fewer tokens "
        "or give the engine a larger cache",
        request.limit, pool_.pages() * kPageTokens);
  const size_t requests = running_.size() + waiting_.size() + 1;
  const auto most = static_cast<size_t>(pages);
  auto state = std::make_unique<RequestState>();
  request.tokens.reserve(static_cast<size_t>(request.limit));
  state->pages.reserve(most);
  state->addresses.reserve(most);
  if (request.share) state->nodes.reserve(most);
  if (request.share) path_.reserve(most);
  if (swap_ != nullptr) state->saved.reserve(most);
  reserve_more(waiting_, requests);
  reserve_more(ended_, ended_.size() + requests);
  reserve_more(plan_.ended, requests);
  if (request.share) state->root = index_.use_root(request.identity);
  state->id = ++last_id_;
  state->prompt = length;
  state->tokens = std::move(request.tokens);
  state->order = {now + kHandicap[static_cast<size_t>(request.priority)], state->id};
  state->asked = std::move(request);
  const auto place = place_of(*state);
  waiting_.insert(place, std::move(state));
  return last_id_;
}

void Scheduler::end(uint64_t id) {
  for (size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->id != id) continue;
    end_request(running_[i]);
    running_.erase(running_.begin() + static_cast<ptrdiff_t>(i));
    return;
  }
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if ((*it)->id != id) continue;
    end_request(*it);
    waiting_.erase(it);
    return;
  }
}

void Scheduler::end_request(Request& r) {
  drop_pages(*r);
  drop_saved(*r);
  if (r->root != PrefixIndex::kNone) index_.release(r->root);
  ended_.push_back(std::move(r));
}

void Scheduler::end_overdue(double now) {
  const auto look = [&](const RequestState& r) {
    const auto& cancel = r.asked.cancel;
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed))
      plan_.ended.push_back({r.id, FinishReason::cancelled});
    else if (now >= r.asked.deadline)
      plan_.ended.push_back({r.id, FinishReason::timeout});
  };
  for (const Request& r : running_) look(*r);
  for (const Request& r : waiting_) look(*r);
  for (const EndedRequest& ended : plan_.ended) end(ended.id);
}

const Plan& Scheduler::step(double now) {
  plan_.runs.clear();
  plan_.ended.clear();
  plan_.rows = plan_.decoding = 0;
  ended_.clear();
  end_overdue(now);
  find_pages_for_decoding();
  admit();
  int64_t pages = running_.size() > 1 ? kRestoredBesideOthers : kRestoredAlone;
  for (Request& r : running_)
    if (r->may_restore) restore_stored(*r, pages);
  plan_runs();
  return plan_;
}

void Scheduler::plan_run(RequestState& r, int64_t rows) {
  plan_.runs.push_back({.request = &r,
                        .first_row = plan_.rows,
                        .rows = rows,
                        .start = r.computed,
                        .wants_logits = rows == r.left() && !r.asked.states});
  plan_.rows += rows;
}

void Scheduler::plan_runs() {
  prefill_.clear();
  for (Request& r : running_) {
    if (r->may_restore) continue;
    if (r->left() > 1) {
      prefill_.push_back(r.get());
    } else {
      plan_run(*r, 1);
      ++plan_.decoding;
    }
  }
  if (prefill_.empty()) return;
  int64_t room = budget_.prompt_tokens(plan_.decoding, limits_.step_tokens - plan_.decoding);
  // The first in the order gets half, so that it goes on; the rest goes to the shortest first, so
  // that short prompts need not wait for long ones.
  RequestState* const first = prefill_.front();
  const int64_t for_first = std::min(first->left(), div_up(room, int64_t{2}));
  std::stable_sort(
      prefill_.begin(), prefill_.end(),
      [](const RequestState* a, const RequestState* b) { return a->left() < b->left(); });
  int64_t for_others = room - for_first;
  for (RequestState* r : prefill_) {
    if (r == first) continue;
    const int64_t rows = std::min(r->left(), for_others);
    if (rows > 0) plan_run(*r, rows);
    for_others -= rows;
  }
  if (for_first > 0) plan_run(*first, std::min(first->left(), for_first + for_others));
}

void Scheduler::commit(std::span<const Outcome> outcomes, double seconds) {
  WEIR_CHECK(outcomes.size() == plan_.runs.size());
  budget_.record(plan_.decoding, plan_.rows - plan_.decoding, seconds);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const PlannedRun& run = plan_.runs[i];
    RequestState& r = *run.request;
    r.computed += run.rows;
    publish(r);
    if (run.wants_logits && !outcomes[i].ends) r.tokens.push_back(outcomes[i].token);
    if (outcomes[i].ends) end(r.id);
  }
}

SchedulerCounters Scheduler::counters() const {
  SchedulerCounters counters = counters_;
  counters.running = static_cast<int64_t>(running_.size());
  counters.waiting = static_cast<int64_t>(waiting_.size());
  return counters;
}

}  // namespace weir
