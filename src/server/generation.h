// The answers to one call while they are being made: the engine's requests on one side, the bytes
// of the response on the other. Used by the connection's thread only; the engine's thread touches
// nothing but the queue.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/registry.h"
#include "server/call.h"
#include "server/event_queue.h"
#include "server/metrics.h"

namespace weir {

class Generation {
 public:
  /// Submits the call's requests. Throws what Engine::submit() throws; then nothing runs.
  Generation(ModelLease lease, Call call, AnswerFrame frame,
             std::shared_ptr<std::atomic<bool>> cancel, Metrics& metrics,
             std::chrono::steady_clock::time_point arrived);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  bool streams() const { return streams_; }
  std::string_view content_type() const { return writer_->content_type(); }

  /// Appends what has come since the last time, as bytes for the client. False if nothing had come:
  /// then `wake` is called once when something does, while this lives.
  bool take(std::string& out, std::function<void()> wake);

  /// The engine has sent something.
  bool started() const { return started_; }
  /// Everything is in what take() gave. A failed generation is over too.
  bool over() const { return open_ == 0 || error_.has_value(); }
  /// Why it failed, if it did.
  const std::optional<ApiError>& error() const { return error_; }
  /// Ends a stream that has begun with the error.
  std::string error_bytes() const;
  bool overflowed() const { return queue_->overflowed(); }

 private:
  void on_event(const Arrival& arrival, std::string& out);
  void observe(const Arrival& arrival);

  ModelLease lease_;
  std::unique_ptr<AnswerWriter> writer_;
  std::shared_ptr<std::atomic<bool>> cancel_;
  std::shared_ptr<EventQueue> queue_;
  Metrics& metrics_;
  const bool streams_;
  bool begun_ = false, started_ = false;
  size_t open_;  // answers not finished
  std::optional<ApiError> error_;
  std::vector<std::optional<std::chrono::steady_clock::time_point>> last_token_;
  const std::chrono::steady_clock::time_point arrived_;
};

}  // namespace weir
