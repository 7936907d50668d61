// The engine over our own decoder, for one request at a time: prefill in chunks, then token by
// token. Owns device, decoder and page pool; refuses to choose among requests (a scheduler's work).
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cache/page_pool.h"
#include "cache/sequence.h"
#include "engine/engine.h"
#include "model/decoder.h"
#include "model/model.h"

namespace weir {

class NativeEngine : public Engine {
 public:
  NativeEngine(std::shared_ptr<const Model> model, const NativeOptions& options);
  ~NativeEngine() override;

  const Capabilities& capabilities() const override { return capabilities_; }
  void submit(Request request, EventSink sink) override;
  Statistics run(const Request& request, const EventSink& on_event) override;
  std::vector<int32_t> tokenize(const Request& request) const override;
  std::string detokenize(std::span<const int32_t> tokens) const override;
  std::vector<float> embed(const Request& request) override;
  EngineCounters counters() const override;
  void drain(double seconds) override;

 private:
  struct Job {
    Request request;
    EventSink sink;
  };

  void serve();  // the body of worker_
  /// Feeds `ids` to the sequence and returns the logits of the last one. False if the request was
  /// cancelled in between.
  bool feed(const Request& request, Sequence& sequence, std::span<const int32_t> ids,
            std::span<const float>& logits);

  std::shared_ptr<const Model> model_;
  CpuDevice device_;
  Decoder decoder_;
  PagePool pool_;
  int64_t chunk_;                   // tokens of a forward pass at most
  std::vector<uint8_t> no_logits_;  // chunk_ zeros: a chunk that is not the prompt's last
  Capabilities capabilities_;
  size_t most_waiting_;
  std::mutex one_request_;
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::deque<Job> waiting_;
  bool busy_ = false, draining_ = false, stopping_ = false;
  std::atomic<bool> give_up_{false};
  EngineCounters counters_;
  std::thread worker_;
};

}  // namespace weir
