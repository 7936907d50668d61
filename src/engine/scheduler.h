// Which requests run, what each step computes, and which pages they hold. A state machine: submit,
// then step() and commit() in turn. Owns the order of requests, admission, preemption and the page
// tables; refuses threads, clocks, models and sampling, so that a simulator can drive it.
//
// - Order: arrival time, later by a fixed handicap for lower classes; so lower classes wait, but
// not
//   for ever. Whoever comes later in this order yields its pages first.
// - A request is admitted when pages for all its tokens can be had and a few are left for others.
//   Nobody overtakes a request that waits for pages.
// - A running request takes a page when it needs one: a free one, else an unused prefix is evicted,
//   else the last request in the order is preempted. Its own pages go to RAM if there is room, or
//   are computed again; either gives the same bytes.
// - A request that was preempted a few times is admitted only with all the pages it can come to
//   need, and is then left alone.
// - Everything a request can come to need of the scheduler's memory is taken by submit(), which may
//   throw; what a step takes beyond that (a place in the prefix index or in RAM) it can do without.
// - While a running prompt computes a prefix that a waiting request needs, the latter waits for it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/request_state.h"
#include "engine/token_budget.h"

namespace weir {

/// `rows` tokens of one request from position `start` on, at rows first_row... of the batch.
struct PlannedRun {
  RequestState* request = nullptr;
  int64_t first_row = 0, rows = 0, start = 0;
  bool wants_logits = false;  // of the last row
};

/// A request that ended before the step; its state stays valid until the next step.
struct EndedRequest {
  uint64_t id = 0;
  FinishReason reason = FinishReason::none;  // cancelled or timeout
};

struct Plan {
  std::vector<PlannedRun> runs;
  std::vector<EndedRequest> ended;
  int64_t rows = 0;      // 0 where pages still come from the store: step again
  int64_t decoding = 0;  // rows of requests that are past their prompt
};

/// What a run gave, in the order of Plan::runs.
struct Outcome {
  bool ends = false;   // the request is over, with or without a token
  int32_t token = -1;  // the next one, where logits were wanted and it goes on
};

struct SchedulerLimits {
  int64_t running = 1;        // requests at the same time
  int64_t step_tokens = 256;  // rows of a batch, at least `running`
};

struct SchedulerCounters {
  int64_t running = 0, waiting = 0;
  uint64_t preemptions = 0, prompt_tokens = 0, cached_tokens = 0;
};

class Scheduler {
 public:
  /// Preemptions after which a request gets all its pages at once.
  static constexpr int32_t kMostPreemptions = 3;
  /// Seconds by which a class of lower priority is handicapped.
  static constexpr double kHandicap[] = {0.0, 2.0, 20.0};
  /// Seconds that a step of several requests may take while none of them streams.
  static constexpr double kLongestStep = 0.2;

  /// All borrowed; `swap` may be null.
  Scheduler(PagePool& pool, PrefixIndex& index, SwapSpace* swap, SchedulerLimits limits);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// The id that the next request will get.
  uint64_t next_id() const { return last_id_ + 1; }

  /// Takes a request and returns its id. Throws limit_exceeded with numbers if it could never run,
  /// std::bad_alloc where there is no memory for it; nothing has changed then.
  uint64_t submit(NewRequest request, double now);

  /// Ends a request, wherever it stands; nothing if it is over already. Not between step and
  /// commit.
  void end(uint64_t id);

  /// What to compute now. Valid until the next step.
  const Plan& step(double now);

  /// What that gave. `seconds` it took, for the budget.
  void commit(std::span<const Outcome> outcomes, double seconds);

  bool idle() const { return running_.empty() && waiting_.empty(); }
  SchedulerCounters counters() const;

 private:
  using Request = std::unique_ptr<RequestState>;

  using Waiting = std::vector<Request>;  // by order

  void end_overdue(double now);
  Waiting::iterator place_of(const RequestState& r);
  void end_request(Request& r);
  void admit();
  bool try_admit(RequestState& r);
  int64_t found_pages(const RequestState& r);
  bool still_waits(const RequestState& r) const;
  bool must_wait(RequestState& r, int64_t found);
  std::optional<size_t> victim_for(const RequestState& r) const;
  void restore_saved(RequestState& r, int64_t found);
  void restore_stored(RequestState& r, int64_t& pages);
  void find_pages_for_decoding();
  bool take_page(RequestState& r);
  void preempt(size_t index);
  void save_pages(RequestState& r);
  void drop_saved(RequestState& r);
  void drop_pages(RequestState& r);
  void share_page(RequestState& r, PrefixIndex::NodeId node);
  void publish(RequestState& r);
  void plan_runs();
  void plan_run(RequestState& r, int64_t rows);

  PagePool& pool_;
  PrefixIndex& index_;
  SwapSpace* swap_;
  SchedulerLimits limits_;
  TokenBudget budget_;
  std::vector<Request> running_;  // by order
  Waiting waiting_;               // has room for those that run, too
  std::vector<Request> ended_;    // since the last step
  Plan plan_;
  std::vector<PrefixIndex::NodeId> path_;  // scratch
  std::vector<RequestState*> prefill_;     // scratch
  uint64_t last_id_ = 0;
  // The request that could not be admitted, and what there was then: no need to ask again before
  // there is more.
  uint64_t blocked_ = 0;
  int64_t blocked_pages_ = 0, blocked_running_ = 0;
  SchedulerCounters counters_;
};

}  // namespace weir
