// One step of everything that runs: the scheduler's plan becomes a batch, the batch logits, logits
// tokens, tokens events. Owns device, decoder, pages and all running jobs; refuses threads of its
// own: whoever calls must be alone.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/page_identity.h"
#include "cache/page_pool.h"
#include "cache/page_store.h"
#include "cache/prefix_index.h"
#include "cache/swap_space.h"
#include "engine/engine.h"
#include "engine/job.h"
#include "engine/scheduler.h"
#include "model/decoder.h"
#include "model/model.h"

namespace weir {

/// What a request ends with when something that is no Error was thrown. Needs no memory where that
/// was std::bad_alloc.
Error as_error(const std::exception& error) noexcept;

class Runner {
 public:
  /// Throws as make_native_engine() does.
  Runner(std::shared_ptr<const Model> model, const NativeOptions& options);

  Capabilities capabilities() const;
  int64_t context() const { return context_; }

  /// Takes a job. Throws what keeps it from running; the job then stays where it is.
  void adopt(std::unique_ptr<Job>& job);

  /// Ends a job that could not be adopted.
  void refuse(std::unique_ptr<Job> job, const std::exception& error) noexcept;

  /// Takes memory for so many ends of requests between two take_finished().
  void expect(size_t requests);

  /// One forward pass, and its events except the last of each job. False if there was nothing to
  /// do.
  bool step();

  /// Ends every job with an error.
  void end_all(Code code, const char* detail) noexcept;

  /// Swaps the jobs that have ended since the last call for `finished`, which is empty; their pages
  /// are free, their last event is to be sent.
  void take_finished(std::vector<std::unique_ptr<Job>>& finished);

  bool idle() const { return jobs_.empty(); }

  /// Writes prefixes to the store, at most so many pages; true if it would take more. flush() all.
  bool persist(int64_t most) { return index_.persist(most); }
  bool has_unstored() const { return store_ != nullptr && index_.has_unstored(); }
  void flush();

  /// Without `queued` in the inbox of the engine.
  EngineCounters counters() const;

 private:
  void finish(uint64_t id);
  static void fail_job(Job& job, const Error& error) noexcept;
  static void end_job(Job& job, FinishReason reason, Code code = {},
                      const char* detail = "") noexcept;
  void compute(std::span<const PlannedRun> runs, std::span<Outcome> outcomes);
  void make_batch(std::span<const PlannedRun> runs);
  void sum_states(std::span<const PlannedRun> runs) noexcept;
  void sample(std::span<const PlannedRun> runs, std::span<const LogitRow> rows);
  void send(std::span<const PlannedRun> runs, std::span<Outcome> outcomes);
  Job& job_of(const PlannedRun& run) { return *jobs_.at(run.request->id); }

  std::shared_ptr<const Model> model_;
  int64_t context_;
  CpuDevice device_;
  Decoder decoder_;
  PagePool pool_;
  SwapSpace swap_;
  std::unique_ptr<PageStore> store_;  // null: none
  PrefixIdentity identity_;           // the tenant is that of the request at hand
  PrefixIndex index_;
  Scheduler scheduler_;
  OpProfile* profile_;  // null: none
  SteadyClock::time_point start_ = SteadyClock::now();

  std::unordered_map<uint64_t, std::unique_ptr<Job>> jobs_;
  std::vector<std::unique_ptr<Job>> finished_;
  std::vector<Outcome> outcomes_;

  // Of the batch at work.
  std::vector<int32_t> tokens_;
  std::vector<SequenceRun> runs_;
  std::vector<uint8_t> wants_logits_, wants_states_;
  std::vector<const PlannedRun*> sampled_;

  EngineCounters counters_;
};

}  // namespace weir
