// The engine over our own decoder: many requests at once, each with the bytes it would have alone.
// Owns the thread that runs them and the border to it: who may come in, who waits, how it ends.
// What a step does is in runner.h, who takes part in scheduler.h.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "engine/runner.h"

namespace weir {

class NativeEngine : public Engine {
 public:
  NativeEngine(std::shared_ptr<const Model> model, const NativeOptions& options);
  ~NativeEngine() override;

  const Capabilities& capabilities() const override { return capabilities_; }
  void submit(Request request, EventSink sink) override;
  void check_room() const override;
  Statistics run(const Request& request, const EventSink& on_event) override;
  std::vector<int32_t> tokenize(const Request& request) const override;
  std::string detokenize(std::span<const int32_t> tokens) const override;
  std::string token_bytes(int32_t token) const override;
  std::vector<float> embed(const Request& request) override;
  EngineCounters counters() const override;
  void drain(double seconds) override;

 private:
  using Jobs = std::vector<std::unique_ptr<Job>>;

  std::unique_ptr<Job> prepare(Request request, EventSink sink) const;
  void room_or_throw() const;  // check_room() with mutex_ held
  void admit();                // counts one more request, or throws unavailable; with mutex_ held
  void enqueue(std::unique_ptr<Job> job);
  void adopt(std::unique_ptr<Job> job) noexcept;
  void serve();  // the body of thread_
  bool step();   // false: nothing to do
  void send_last();
  bool take_the_wheel();
  void give_back_the_wheel();
  Statistics drive(const Request& request, const EventSink& on_event);
  Statistics follow(const Request& request, const EventSink& on_event);

  const std::shared_ptr<const Model> model_;
  const int64_t max_batch_, most_requests_;
  Runner runner_;  // touched by whoever drives: thread_ while busy_, a caller while driven_
  Jobs arrived_, finished_;  // scratch of step(), as is the runner
  const Capabilities capabilities_;

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  Jobs inbox_;
  std::atomic<bool> arrivals_{false};  // inbox_ is not empty; read without the mutex
  std::atomic<bool> give_up_{false};   // requests end with an error; read without the mutex
  bool busy_ = false, driven_ = false, left_over_ = false, left_to_store_ = false;
  bool draining_ = false, stopping_ = false;
  int64_t in_flight_ = 0;
  EngineCounters counters_;
  std::thread thread_;
};

}  // namespace weir
