// Threads. One drives at any time: the engine's own thread, or, where requests run one by one, the
// thread that called run(), so that a single stream pays for no hand-over.
#include "engine/native_engine.h"

#include <cmath>
#include <deque>

#include "base/error.h"
#include "decoding/random.h"
#include "engine/prompt.h"

namespace weir {
namespace {

constexpr int64_t kLongestQueue = 1'000'000;
constexpr int64_t kPersistedAtOnce = 16;  // pages, between looks at the inbox
constexpr std::chrono::milliseconds kStorePause{20};

int64_t checked_queue(const NativeOptions& options) {
  if (options.max_queue < 0 || options.max_queue > kLongestQueue)
    fail(Code::invalid_argument, "a queue of {} requests, expected 0 to {}", options.max_queue,
         kLongestQueue);
  return options.max_queue;
}

struct Abandoned {};

/// Events on their way from the engine's thread to the one that called run().
class Channel {
 public:
  /// On the engine's thread. Throws where no more are wanted, so that the request ends.
  void push(const Event& event) {
    const std::lock_guard lock(mutex_);
    if (abandoned_ || lost_) throw Abandoned();
    try {
      events_.push_back(event);
    } catch (const std::bad_alloc&) {
      lost_ = true;
    }
    changed_.notify_one();
  }

  /// Waits for the next. Throws unavailable where there was no memory for it.
  Event take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return lost_ || !events_.empty(); });
    if (events_.empty()) fail(Code::unavailable, kNoMemory);
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

  void abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  bool abandoned_ = false, lost_ = false;
};

[[noreturn]] void throw_error_of(const Event& event) { throw Error(event.code, event.detail); }

}  // namespace

NativeEngine::NativeEngine(std::shared_ptr<const Model> model, const NativeOptions& options)
    : model_(std::move(model)),
      max_batch_(options.max_batch),
      most_requests_(options.max_batch + checked_queue(options)),
      runner_(model_, options),
      capabilities_(runner_.capabilities()),
      counters_(runner_.counters()) {
  // Room for the ends of all requests at once: an end must not fail.
  const auto most = static_cast<size_t>(most_requests_);
  runner_.expect(most);
  finished_.reserve(most);
  thread_ = std::thread([this] { serve(); });
}

NativeEngine::~NativeEngine() {
  drain(0);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::vector<int32_t> NativeEngine::tokenize(const Request& request) const {
  return prompt_tokens(*model_, request, capabilities_.context_length);
}

std::string NativeEngine::detokenize(std::span<const int32_t> tokens) const {
  if (model_->tokenizer() == nullptr)
    fail(Code::unsupported, "the model has no tokenizer: ids have no text");
  return model_->tokenizer()->decode(tokens);
}

std::string NativeEngine::token_bytes(int32_t token) const {
  if (model_->tokenizer() == nullptr)
    fail(Code::unsupported, "the model has no tokenizer: ids have no text");
  return model_->tokenizer()->piece(token);
}

std::unique_ptr<Job> NativeEngine::prepare(Request request, EventSink sink) const {
  auto job = std::make_unique<Job>();
  job->submitted = SteadyClock::now();
  request.tokens = tokenize(request);
  if (!request.sampling.seed) request.sampling.seed = fresh_seed();
  job->sampler.emplace(request.sampling, sampler_vocabulary(*model_, request.sampling));
  job->request = std::move(request);
  job->sink = std::move(sink);
  return job;
}

void NativeEngine::check_room() const {
  const std::lock_guard lock(mutex_);
  room_or_throw();
}

void NativeEngine::room_or_throw() const {
  if (draining_) fail(Code::unavailable, "the engine is shutting down and takes no more requests");
  if (in_flight_ >= most_requests_)
    fail(Code::unavailable, "{} requests run or wait already; try again later", in_flight_);
}

void NativeEngine::admit() {
  room_or_throw();
  ++in_flight_;
}

void NativeEngine::enqueue(std::unique_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.reserve(inbox_.size() + 1);  // no memory, not counted
    admit();
    inbox_.push_back(std::move(job));
    arrivals_ = true;
  }
  changed_.notify_all();
}

void NativeEngine::submit(Request request, EventSink sink) {
  check_room();  // before the prompt costs anything: under overload most are refused
  enqueue(prepare(std::move(request), std::move(sink)));
}

void NativeEngine::adopt(std::unique_ptr<Job> job) noexcept {
  try {
    runner_.adopt(job);
  } catch (const std::exception& error) {
    runner_.refuse(std::move(job), error);
  }
}

/// One step of everything, with what came in. Called by whoever drives.
bool NativeEngine::step() {
  if (arrivals_.load(std::memory_order_acquire)) {
    {
      const std::lock_guard lock(mutex_);
      arrived_.swap(inbox_);
      arrivals_ = false;
    }
    for (auto& job : arrived_) adopt(std::move(job));
    arrived_.clear();
  }
  if (give_up_.load(std::memory_order_relaxed))
    runner_.end_all(Code::unavailable, "the engine is shutting down");
  bool worked = true;
  try {
    worked = runner_.step();
  } catch (const std::exception& error) {  // a contract of ours was broken: start anew
    runner_.end_all(as_error(error).code(), error.what());
  }
  runner_.take_finished(finished_);
  const EngineCounters counters = runner_.counters();
  {
    const std::lock_guard lock(mutex_);
    counters_ = counters;
    in_flight_ -= static_cast<int64_t>(finished_.size());
  }
  if (finished_.empty()) return worked;
  changed_.notify_all();
  send_last();
  return true;
}

void NativeEngine::send_last() {
  for (const auto& job : finished_) {
    if (job->thrown != nullptr) continue;
    try {
      job->sink(job->last);
    } catch (...) {
      job->thrown = std::current_exception();  // the request is over anyway
    }
  }
  finished_.clear();
}

void NativeEngine::serve() {
  std::unique_lock lock(mutex_);
  const auto wanted = [&] { return !driven_ && (stopping_ || left_over_ || !inbox_.empty()); };
  while (true) {
    // Pages that the store's queue has no room for now are tried again after a while.
    if (left_to_store_)
      changed_.wait_for(lock, kStorePause, wanted);
    else
      changed_.wait(lock, wanted);
    if (driven_) continue;
    if (stopping_ && inbox_.empty() && !left_over_) return;
    busy_ = true;
    left_over_ = false;
    lock.unlock();
    while (step() || arrivals_ || runner_.persist(kPersistedAtOnce)) continue;
    lock.lock();
    left_to_store_ = runner_.has_unstored();
    busy_ = false;
    changed_.notify_all();
  }
}

/// True if the caller drives now: nobody else does, and nobody waits.
bool NativeEngine::take_the_wheel() {
  const std::lock_guard lock(mutex_);
  if (busy_ || driven_ || left_over_ || !inbox_.empty()) return false;
  admit();
  driven_ = true;
  return true;
}

void NativeEngine::give_back_the_wheel() {
  const std::lock_guard lock(mutex_);
  driven_ = false;
  left_over_ = !runner_.idle() || runner_.has_unstored();
  changed_.notify_all();
}

Statistics NativeEngine::run(const Request& request, const EventSink& on_event) {
  return max_batch_ == 1 ? drive(request, on_event) : follow(request, on_event);
}

Statistics NativeEngine::drive(const Request& request, const EventSink& on_event) {
  Event last;
  std::exception_ptr thrown;
  bool over = false;
  auto job = prepare(request, [&](const Event& event) {
    try {
      if (event.finish != FinishReason::none) {
        over = true;
        last = event;
        if (event.finish == FinishReason::error) return;
      }
      on_event(event);
    } catch (...) {
      thrown = std::current_exception();
      throw;
    }
  });
  if (!take_the_wheel()) return follow(request, on_event);
  adopt(std::move(job));
  // A step that sends the last event, or one that the caller throws at, has also dropped the job,
  // which points into this frame.
  while (!over && thrown == nullptr) step();
  give_back_the_wheel();
  if (thrown != nullptr) std::rethrow_exception(thrown);
  if (last.finish == FinishReason::error) throw_error_of(last);
  return *last.statistics;
}

Statistics NativeEngine::follow(const Request& request, const EventSink& on_event) {
  const auto channel = std::make_shared<Channel>();
  submit(request, [channel](const Event& event) { channel->push(event); });
  while (true) {
    const Event event = channel->take();
    if (event.finish == FinishReason::error) throw_error_of(event);
    try {
      on_event(event);
    } catch (...) {
      channel->abandon();
      throw;
    }
    if (event.finish != FinishReason::none) return *event.statistics;
  }
}

std::vector<float> NativeEngine::embed(const Request& request) {
  const auto channel = std::make_shared<Channel>();
  auto job = prepare(request, nullptr);
  job->wants_states = true;
  const auto sum = std::make_shared<std::vector<double>>();
  job->sink = [channel, sum, mine = job.get()](const Event& event) {
    *sum = std::move(mine->state_sum);
    channel->push(event);
  };
  enqueue(std::move(job));
  const Event last = channel->take();
  if (last.finish == FinishReason::error) throw_error_of(last);
  if (last.finish != FinishReason::length)
    fail(last.finish == FinishReason::timeout ? Code::unavailable : Code::cancelled,
         "the embedding was stopped: {}", finish_reason_name(last.finish));
  double squares = 0;
  for (const double value : *sum) squares += value * value;
  if (squares <= 0) fail(Code::numeric, "the model gives zeros for this text");
  std::vector<float> vector;
  vector.reserve(sum->size());
  for (const double value : *sum) vector.push_back(static_cast<float>(value / std::sqrt(squares)));
  return vector;
}

EngineCounters NativeEngine::counters() const {
  const std::lock_guard lock(mutex_);
  EngineCounters counters = counters_;
  counters.queued += static_cast<int64_t>(inbox_.size());
  return counters;
}

void NativeEngine::drain(double seconds) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  const auto is_idle = [&] { return in_flight_ == 0; };
  if (!changed_.wait_for(lock, std::chrono::duration<double>(seconds), is_idle)) {
    give_up_ = true;
    changed_.wait(lock, is_idle);
  }
  changed_.wait(lock, [&] { return !busy_ && !driven_ && !left_over_; });
  driven_ = true;
  lock.unlock();
  runner_.flush();
  const EngineCounters counters = runner_.counters();
  lock.lock();
  counters_ = counters;
  driven_ = false;
  changed_.notify_all();
}

std::unique_ptr<Engine> make_native_engine(std::shared_ptr<const Model> model,
                                           const NativeOptions& options) {
  return std::make_unique<NativeEngine>(std::move(model), options);
}

}  // namespace weir
