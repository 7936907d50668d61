// An engine without a model: a prompt's tokens are its bytes, and the next token is a letter that
// depends on everything before it. One thread gives every running request one token a step. Prompts
// can ask for trouble by name: "[fail]" ends with an error at once, "[fail-late]" after two tokens,
// "[bytes]" answers with a character cut in two.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/prompt_too_long.h"

namespace weir::test {

struct FakeOptions {
  std::chrono::milliseconds step{0};  // pause between steps
  int64_t context = 1 << 20;
  int64_t most_requests = 1000;
  bool chat_template = true;
};

class FakeEngine : public Engine {
 public:
  explicit FakeEngine(FakeOptions options = {}) : options_(options) {
    capabilities_.engine = "fake";
    capabilities_.model = "fake";
    capabilities_.isa = "none";
    capabilities_.threads = 1;
    capabilities_.context_length = options.context;
    capabilities_.vocabulary = 256;
    capabilities_.text = capabilities_.log_probabilities = capabilities_.embeddings = true;
    capabilities_.chat_template = options.chat_template;
    capabilities_.embedding_width = 4;
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeEngine() override {
    drain(0);
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  const Capabilities& capabilities() const override { return capabilities_; }

  /// What a request is answered with when nothing stops it.
  static std::string answer_to(std::string context, int64_t tokens) {
    const size_t start = context.size();
    for (int64_t i = 0; i < tokens; ++i) context += next(context);
    return context.substr(start);
  }

  static std::string flat(const Request& request) {
    if (!request.tokens.empty()) return {request.tokens.begin(), request.tokens.end()};
    if (request.messages.empty()) return request.prompt;
    std::string text;
    for (const ChatMessage& message : request.messages)
      text += "<" + message.role + ">" + message.content;
    return text + request.tools + "<assistant>";
  }

  void submit(Request request, EventSink sink) override {
    Job job;
    job.context = flat(request);
    job.prompt = tokenize(request).size();
    job.request = std::move(request);
    job.sink = std::move(sink);
    job.start = std::chrono::steady_clock::now();
    check_room();
    {
      const std::lock_guard lock(mutex_);
      last_request = job.request;
      jobs_.push_back(std::move(job));
    }
    changed_.notify_all();
  }

  void check_room() const override {
    const std::lock_guard lock(mutex_);
    if (draining_) fail(Code::unavailable, "the engine is shutting down");
    if (static_cast<int64_t>(jobs_.size()) >= options_.most_requests)
      fail(Code::unavailable, "{} requests run or wait already", jobs_.size());
  }

  Statistics run(const Request&, const EventSink&) override {
    fail(Code::unsupported, "the fake engine only takes submit()");
  }

  std::vector<int32_t> tokenize(const Request& request) const override {
    const std::string text = flat(request);
    if (static_cast<int64_t>(text.size()) > options_.context)
      throw PromptTooLong(static_cast<int64_t>(text.size()), options_.context);
    std::vector<int32_t> ids;
    for (const unsigned char c : text) ids.push_back(c);
    return ids;
  }
  std::string detokenize(std::span<const int32_t> tokens) const override {
    return {tokens.begin(), tokens.end()};
  }
  std::string token_bytes(int32_t token) const override {
    return std::string(1, static_cast<char>(token));
  }
  std::vector<float> embed(const Request& request) override {
    return {static_cast<float>(tokenize(request).size()), 0.5f, -0.25f, 0};
  }

  EngineCounters counters() const override {
    const std::lock_guard lock(mutex_);
    EngineCounters counters;
    counters.running = static_cast<int64_t>(jobs_.size());
    counters.cancelled = cancelled_;
    return counters;
  }

  void drain(double seconds) override {
    std::unique_lock lock(mutex_);
    draining_ = true;
    const auto empty = [&] { return jobs_.empty() && !stepping_; };
    if (changed_.wait_for(lock, std::chrono::duration<double>(seconds), empty)) return;
    give_up_ = true;
    changed_.notify_all();
    changed_.wait(lock, empty);
  }

  Request last_request;  // for what a codec made of a body

 private:
  struct Job {
    Request request;
    EventSink sink;
    std::string context;
    size_t prompt = 0;
    int64_t made = 0;
    std::chrono::steady_clock::time_point start;
  };

  static char next(const std::string& context) {
    uint32_t hash = 2166136261U;
    for (const unsigned char c : context) hash = (hash ^ c) * 16777619U;
    return static_cast<char>('a' + (hash >> 7) % 26);
  }

  Event end(const Job& job, FinishReason reason) const {
    Event event;
    event.finish = reason;
    event.statistics.emplace();
    event.statistics->prompt_tokens = static_cast<int64_t>(job.prompt);
    event.statistics->generated_tokens = job.made;
    return event;
  }

  /// One step of a job; true when it is over.
  bool step(Job& job) {
    Event event;
    const auto& sampling = job.request.sampling;
    const bool late = job.context.find("[fail-late]") != std::string::npos && job.made == 2;
    if (give_up_) {
      event = end(job, FinishReason::error);
      event.code = Code::unavailable;
      event.detail = "the engine is shutting down";
    } else if (job.request.cancel && *job.request.cancel) {
      event = end(job, FinishReason::cancelled);
      ++cancelled_;
    } else if (late || job.context.find("[fail]") != std::string::npos) {
      event = end(job, FinishReason::error);
      event.code = Code::numeric;
      event.detail = "the logits are not finite";
    } else if (job.request.timeout_seconds > 0 &&
               std::chrono::duration<double>(std::chrono::steady_clock::now() - job.start).count() >
                   job.request.timeout_seconds) {
      event = end(job, FinishReason::timeout);
    } else if (job.made == (sampling.max_tokens < 0 ? 20 : sampling.max_tokens)) {
      event = end(job, FinishReason::length);
    } else {
      event.token = static_cast<unsigned char>(next(job.context));
      event.text = std::string(1, static_cast<char>(event.token));
      event.log_probability = -0.5;
      for (int32_t i = 0; i < sampling.logprobs; ++i) event.top.push_back({'a' + i, -1.0 - i});
      job.context += event.text;
      ++job.made;
    }
    job.sink(event);
    return event.finish != FinishReason::none;
  }

  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      stepping_ = true;
      std::list<Job*> running;
      for (Job& job : jobs_) running.push_back(&job);
      lock.unlock();
      std::list<Job*> over;
      for (Job* job : running)
        if (step(*job)) over.push_back(job);
      if (options_.step.count() > 0) std::this_thread::sleep_for(options_.step);
      lock.lock();
      jobs_.remove_if(
          [&](const Job& job) { return std::find(over.begin(), over.end(), &job) != over.end(); });
      stepping_ = false;
      changed_.notify_all();
    }
  }

  const FakeOptions options_;
  Capabilities capabilities_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Job> jobs_;
  bool draining_ = false, stopping_ = false, stepping_ = false;
  std::atomic<bool> give_up_ = false;
  std::atomic<uint64_t> cancelled_ = 0;
  std::thread thread_;
};

}  // namespace weir::test
