#include "server/generation.h"

#include "server/http.h"

namespace weir {

Reply::Reply() = default;
Reply::Reply(Reply&&) noexcept = default;
Reply& Reply::operator=(Reply&&) noexcept = default;
Reply::~Reply() = default;

Generation::Generation(ModelLease lease, Call call, AnswerFrame frame,
                       std::shared_ptr<std::atomic<bool>> cancel, Metrics& metrics,
                       std::chrono::steady_clock::time_point arrived)
    : lease_(std::move(lease)),
      writer_(make_answer_writer(call, std::move(frame))),
      cancel_(std::move(cancel)),
      queue_(std::make_shared<EventQueue>(cancel_)),
      metrics_(metrics),
      streams_(call.options.stream),
      open_(call.requests.size()),
      last_token_(call.requests.size()),
      arrived_(arrived) {
  if (call.keep_alive) lease_.keep_alive(*call.keep_alive);
  try {
    for (size_t i = 0; i < call.requests.size(); ++i) {
      call.requests[i].cancel = cancel_;
      lease_.engine().submit(std::move(call.requests[i]),
                             [queue = queue_, i](const Event& event) { queue->push(i, event); });
    }
  } catch (...) {
    *cancel_ = true;  // those that were taken already
    throw;
  }
}

Generation::~Generation() {
  queue_->forget_wake();
  if (!over()) *cancel_ = true;
}

bool Generation::take(std::string& out, std::function<void()> wake) {
  if (!begun_) writer_->begin(out);
  begun_ = true;
  const auto arrivals = queue_->take(std::move(wake));
  for (const Arrival& arrival : arrivals)
    if (!error_) on_event(arrival, out);
  if (!error_ && queue_->out_of_memory()) {
    error_ = api_error_of(Code::unavailable, kNoMemory);
    return true;
  }
  started_ = started_ || !arrivals.empty();
  return !arrivals.empty();
}

void Generation::on_event(const Arrival& arrival, std::string& out) {
  observe(arrival);
  const Event& event = arrival.event;
  const bool failed =
      event.finish == FinishReason::error || (event.finish == FinishReason::timeout && !streams_);
  if (failed) {
    error_ = api_error_of(event);
    *cancel_ = true;  // the other answers of this call
    return;
  }
  writer_->event(arrival.choice, event, out);
  if (event.finish == FinishReason::none) return;
  if (--open_ == 0) writer_->end(out);
}

void Generation::observe(const Arrival& arrival) {
  const Event& event = arrival.event;
  const auto seconds = [](auto duration) {
    return std::chrono::duration<double>(duration).count();
  };
  if (event.token >= 0) {
    auto& last = last_token_[arrival.choice];
    if (last)
      metrics_.between_tokens(lease_.name(), seconds(arrival.at - *last));
    else
      metrics_.first_token(lease_.name(), seconds(arrival.at - arrived_));
    last = arrival.at;
  }
  if (event.statistics) metrics_.answered(lease_.name(), *event.statistics);
}

std::string Generation::error_bytes() const {
  std::string out;
  writer_->fail(*error_, out);
  return out;
}

}  // namespace weir
