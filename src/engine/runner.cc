// The steps in their order: plan, batch, forward, sample, send, commit.
#include "engine/runner.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/error.h"
#include "decoding/random.h"
#include "engine/disk_tier.h"
#include "engine/model_digest.h"
#include "engine/native_limits.h"

namespace weir {

namespace {

double seconds_between(SteadyClock::time_point from, SteadyClock::time_point to) {
  return from.time_since_epoch().count() == 0 || to < from
             ? 0.0
             : std::chrono::duration<double>(to - from).count();
}

/// Null where no folder is named.
std::unique_ptr<PageStore> make_store(const NativeOptions& options) {
  if (options.cache_bytes < 0)
    fail(Code::invalid_argument, "a cache of {} bytes, expected 0 or more", options.cache_bytes);
  if (options.cache_folder.empty()) return nullptr;
  DiskStoreOptions disk;
  disk.folder = options.cache_folder;
  if (options.cache_bytes > 0) disk.max_bytes = static_cast<uint64_t>(options.cache_bytes);
  if (options.cache_notice)
    disk.notice = [tell = options.cache_notice](bool, const std::string& text) { tell(text); };
  return std::make_unique<DiskTier>(std::move(disk));
}

}  // namespace

Error as_error(const std::exception& error) noexcept {
  // Made once: where memory is short, a message could not be.
  static const Error no_memory(Code::unavailable, kNoMemory);
  const auto* const ours = dynamic_cast<const Error*>(&error);
  if (ours != nullptr) return *ours;
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return no_memory;
  try {
    return {Code::internal, error.what()};
  } catch (...) {
    return no_memory;
  }
}

Runner::Runner(std::shared_ptr<const Model> model, const NativeOptions& options)
    : model_(std::move(model)),
      context_(context_of(*model_, options)),
      device_(options.threads, &numerics_named(options.numerics)),
      decoder_(model_, device_, step_tokens_of(options, context_), context_),
      pool_(Decoder::kv_layout(model_->config(), kv_type_named(options.kv_type)),
            pages_of(*model_, options)),
      swap_(pool_.layout().page_bytes(), options.swap_bytes),
      store_(make_store(options)),
      index_(pool_, swap_.slots() > 0 ? &swap_ : nullptr, store_.get(), fresh_seed()),
      scheduler_(pool_, index_, swap_.slots() > 0 ? &swap_ : nullptr,
                 {.running = options.max_batch, .step_tokens = decoder_.max_tokens()}),
      profile_(options.profile) {
  identity_.kv_type = options.kv_type;
  identity_.attention = "full";
  identity_.numerics =
      options.numerics == "exact" ? kernels::kNumericsVersion : kernels::kBf16DotVersion;
  if (store_ != nullptr) identity_.model = model_digest(*model_, device_);
  device_.set_profile(profile_);
  // What every step needs, so that no step has to ask for it.
  (void)as_error(std::bad_alloc());
  const auto running = static_cast<size_t>(options.max_batch);
  const auto rows = static_cast<size_t>(decoder_.max_tokens());
  outcomes_.reserve(running);
  sampled_.reserve(running);
  runs_.reserve(running);
  tokens_.reserve(rows);
  wants_logits_.reserve(rows);
  wants_states_.reserve(rows);
}

Capabilities Runner::capabilities() const {
  return {.engine = "native",
          .model = model_->summary().name,
          .isa = device_.table().isa,
          .threads = device_.threads(),
          .context_length = context_,
          .vocabulary = model_->config().vocabulary,
          .text = model_->tokenizer() != nullptr,
          .chat_template = !model_->chat_template().empty(),
          .log_probabilities = true,
          .embeddings = true,
          .embedding_width = model_->config().width};
}

void Runner::adopt(std::unique_ptr<Job>& owned) {
  Job& job = *owned;
  Request& request = job.request;
  const SamplingParams& params = request.sampling;
  job.statistics.load_seconds = model_->summary().load_seconds;
  job.statistics.seed = params.seed.value_or(0);
  const auto length = static_cast<int64_t>(request.tokens.size());
  job.statistics.prompt_tokens = length;
  job.relay = [&job](const Event& event) {
    if (event.finish != FinishReason::none) {
      job.last = event;
      job.over = true;  // not where the event could not be copied
    } else if (job.thrown == nullptr) {
      try {
        job.sink(event);
      } catch (...) {
        job.thrown = std::current_exception();
      }
    }
  };
  // The last token needs no place: nothing is computed after it.
  const int64_t room = context_ - length + 1;
  job.answer.emplace(model_->tokenizer(), params, room, context_, job.relay);
  if (params.max_tokens == 0 && !job.wants_states) {
    end_job(job, FinishReason::length);
    finished_.push_back(std::move(owned));
    return;
  }
  if (job.wants_states) job.state_sum.resize(static_cast<size_t>(model_->config().width), 0.0);
  NewRequest wanted;
  wanted.limit = job.wants_states        ? length
                 : params.max_tokens < 0 ? context_
                                         : std::min(context_, length + params.max_tokens - 1);
  wanted.tokens = std::move(request.tokens);
  wanted.priority = request.priority;
  identity_.tenant = request.tenant;
  wanted.identity = identity_.bytes();
  wanted.share = request.use_prefix_cache && !job.wants_states;
  wanted.states = job.wants_states;
  wanted.cancel = request.cancel;
  const double now = seconds_between(start_, job.submitted);
  if (request.timeout_seconds > 0) wanted.deadline = now + request.timeout_seconds;
  const auto it = jobs_.emplace(scheduler_.next_id(), nullptr).first;
  try {
    scheduler_.submit(std::move(wanted), now);
  } catch (...) {
    jobs_.erase(it);
    throw;
  }
  it->second = std::move(owned);
}

void Runner::refuse(std::unique_ptr<Job> job, const std::exception& error) noexcept {
  fail_job(*job, as_error(error));
  finished_.push_back(std::move(job));
}

void Runner::expect(size_t requests) { finished_.reserve(requests); }

/// The last event of a job without what was held back of its text.
void Runner::fail_job(Job& job, const Error& error) noexcept {
  job.last = Event();
  job.last.finish = FinishReason::error;
  job.last.code = error.code();
  job.over = true;
  try {
    job.last.detail = error.what();
  } catch (const std::bad_alloc&) {  // the code says it
  }
}

/// Ends a job whatever it takes: where its text cannot be finished, as a failure.
void Runner::end_job(Job& job, FinishReason reason, Code code, const char* detail) noexcept {
  try {
    job.answer->end(reason, code, detail);
  } catch (const std::exception& error) {
    fail_job(job, as_error(error));
  }
}

bool Runner::step() {
  if (jobs_.empty()) return false;
  const auto begin = SteadyClock::now();
  const Plan& plan = scheduler_.step(seconds_between(start_, begin));
  for (const EndedRequest& ended : plan.ended) end_job(*jobs_.at(ended.id), ended.reason);
  if (plan.rows > 0) {
    for (const PlannedRun& run : plan.runs) {
      Job& job = job_of(run);
      if (job.first_step.time_since_epoch().count() == 0) job.first_step = begin;
      job.statistics.cached_tokens = run.request->cached;
      job.statistics.preemptions = run.request->preemptions;
    }
    outcomes_.assign(plan.runs.size(), Outcome());
    compute(plan.runs, outcomes_);
    scheduler_.commit(outcomes_, seconds_between(begin, SteadyClock::now()));
    ++counters_.steps;
    counters_.batched_tokens += static_cast<uint64_t>(plan.rows);
  }
  for (const EndedRequest& ended : plan.ended) finish(ended.id);
  for (size_t i = 0; i < plan.runs.size(); ++i)
    if (outcomes_[i].ends) finish(plan.runs[i].request->id);
  if (store_ != nullptr) index_.persist(1);
  if (profile_ != nullptr) profile_->add_total(seconds_between(begin, SteadyClock::now()));
  return true;
}

void Runner::finish(uint64_t id) {
  const auto it = jobs_.find(id);
  finished_.push_back(std::move(it->second));
  jobs_.erase(it);
}

/// Fills the outcomes of `runs`. What breaks a batch is found by computing each run alone: only the
/// guilty one ends.
void Runner::compute(std::span<const PlannedRun> runs, std::span<Outcome> outcomes) {
  try {
    make_batch(runs);
    const auto rows = decoder_.forward({tokens_, runs_, wants_logits_, wants_states_});
    const auto now = SteadyClock::now();
    for (const PlannedRun& run : runs)
      if (run.wants_logits &&
          run.request->tokens.size() == static_cast<size_t>(run.request->prompt))
        job_of(run).first_logits = now;
    sample(runs, rows);
    sum_states(runs);  // what comes after this must not be done again
  } catch (const std::exception& error) {
    if (runs.size() > 1) {
      for (size_t i = 0; i < runs.size(); ++i) {
        PlannedRun alone = runs[i];
        alone.first_row = 0;
        compute({&alone, 1}, outcomes.subspan(i, 1));
      }
      return;
    }
    job_of(runs[0]).error.emplace(as_error(error));
  }
  send(runs, outcomes);
}

void Runner::make_batch(std::span<const PlannedRun> runs) {
  tokens_.clear();
  runs_.clear();
  wants_logits_.clear();
  wants_states_.clear();
  bool states = false;
  for (const PlannedRun& run : runs) {
    const RequestState& r = *run.request;
    runs_.push_back({{&pool_.layout(), r.addresses}, run.first_row, run.rows, run.start});
    const auto first = r.tokens.begin() + run.start;
    tokens_.insert(tokens_.end(), first, first + run.rows);
    wants_logits_.resize(tokens_.size(), 0);
    if (run.wants_logits) wants_logits_.back() = 1;
    states = states || r.asked.states;
  }
  if (!states) return;
  for (const PlannedRun& run : runs)
    wants_states_.resize(wants_states_.size() + static_cast<size_t>(run.rows),
                         run.request->asked.states ? 1 : 0);
}

/// Throws nothing: a sum must not be begun anew.
void Runner::sum_states(std::span<const PlannedRun> runs) noexcept {
  int64_t row = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].request->asked.states) continue;
    Job& job = job_of(runs[i]);
    for (int64_t t = 0; t < runs[i].rows; ++t, ++row) {
      const float* const state = decoder_.states(row);
      for (size_t k = 0; k < job.state_sum.size(); ++k) job.state_sum[k] += state[k];
    }
    if (runs[i].rows < runs[i].request->left()) continue;
    for (const double sum : job.state_sum)
      if (!std::isfinite(sum) && !job.error) {
        try {
          job.error.emplace(Code::numeric, "the model gave NaN or infinity for this text");
        } catch (const std::bad_alloc& error) {
          job.error.emplace(as_error(error));
        }
      }
    if (!job.error) end_job(job, FinishReason::length);
  }
}

/// Draws the next token of every run that wants one, in parallel: each has a sampler of its own.
void Runner::sample(std::span<const PlannedRun> runs, std::span<const LogitRow> rows) {
  sampled_.clear();
  for (const PlannedRun& run : runs)
    if (run.wants_logits) sampled_.push_back(&run);
  WEIR_CHECK(sampled_.size() == rows.size());
  const auto one = [&](size_t i) {
    const PlannedRun& run = *sampled_[i];
    Job& job = job_of(run);
    try {
      if (!rows[i].finite)
        fail(Code::numeric,
             "the model gave NaN or infinity after token {}; its weights are damaged or overflow",
             run.start + run.rows);
      const auto& history = run.request->tokens;
      job.sampled =
          job.sampler->sample(rows[i].logits, history, static_cast<int64_t>(history.size()));
    } catch (const std::exception& error) {
      job.error.emplace(as_error(error));
    }
  };
  const auto count = static_cast<int64_t>(rows.size());
  device_.set_op(Op::sampling);
  device_.for_each_row(count, model_->config().vocabulary,
                       [&](int64_t i, int) { one(static_cast<size_t>(i)); });
}

void Runner::send(std::span<const PlannedRun> runs, std::span<Outcome> outcomes) {
  const auto now = SteadyClock::now();
  for (size_t i = 0; i < runs.size(); ++i) {
    Job& job = job_of(runs[i]);
    if (job.error) {
      end_job(job, FinishReason::error, job.error->code(), job.error->what());
    } else if (runs[i].wants_logits) {
      outcomes[i].token = job.sampled.id;
      job.last_token = now;
      if (job.answer->tokens() == 0) job.first_token = now;
      try {
        job.answer->push(job.sampled);
      } catch (const std::exception& error) {
        fail_job(job, as_error(error));
      }
      ++counters_.generated_tokens;
    }
    if (job.thrown != nullptr && !job.over) end_job(job, FinishReason::cancelled);
    outcomes[i].ends = job.over;
  }
}

void Runner::end_all(Code code, const char* detail) noexcept {
  for (auto& [id, job] : jobs_) {
    scheduler_.end(id);
    end_job(*job, FinishReason::error, code, detail);
    finished_.push_back(std::move(job));
  }
  jobs_.clear();
}

void Runner::take_finished(std::vector<std::unique_ptr<Job>>& finished) {
  for (const auto& job : finished_) {
    Statistics& s = job->statistics;
    const auto first =
        job->first_logits.time_since_epoch().count() != 0 ? job->first_logits : SteadyClock::now();
    s.queue_seconds = seconds_between(job->submitted, job->first_step);
    s.prefill_seconds = seconds_between(job->first_step, first);
    s.first_token_seconds = seconds_between(job->submitted, job->first_token);
    s.decode_seconds = seconds_between(job->first_token, job->last_token);
    s.generated_tokens = job->answer ? job->answer->tokens() : 0;
    s.peak_memory_bytes = peak_memory_bytes();
    job->last.statistics = s;
    switch (job->last.finish) {
      case FinishReason::cancelled:
        ++counters_.cancelled;
        break;
      case FinishReason::error:
      case FinishReason::timeout:
        ++counters_.failed;
        break;
      default:
        ++counters_.finished;
    }
  }
  finished.swap(finished_);
}

void Runner::flush() {
  if (store_ == nullptr) return;
  do {
    while (index_.persist(1024)) continue;
    store_->flush();  // makes room for the next
  } while (index_.has_unstored());
}

EngineCounters Runner::counters() const {
  EngineCounters counters = counters_;
  const SchedulerCounters scheduler = scheduler_.counters();
  counters.running = scheduler.running;
  counters.queued = scheduler.waiting;
  counters.preemptions = scheduler.preemptions;
  counters.prompt_tokens = scheduler.prompt_tokens;
  counters.cached_tokens = scheduler.cached_tokens;
  counters.pages = pool_.pages();
  counters.free_pages = pool_.free_pages();
  counters.cached_pages = index_.pool_pages();
  counters.swapped_pages = swap_.used();
  counters.evictions = index_.evictions();
  if (store_ != nullptr) {
    counters.disk_pages = store_->pages();
    counters.disk_bytes = store_->bytes();
  }
  return counters;
}

}  // namespace weir
