// Many requests at once for the tests of an engine: what each got, and what it gets alone.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "support/tiny_model.h"

namespace weir::test {

struct Answer {
  std::vector<int32_t> tokens;
  std::string text;
  Event last;
  bool operator==(const Answer& other) const {
    return tokens == other.tokens && text == other.text && last.finish == other.last.finish;
  }
};

/// Submits many requests and waits for all answers.
class Load {
 public:
  explicit Load(Engine& engine) : engine_(engine) {}

  void submit(size_t index, Request request) {
    {
      const std::lock_guard lock(mutex_);
      if (answers_.size() <= index) answers_.resize(index + 1);
      ++open_;
    }
    engine_.submit(std::move(request), [this, index](const Event& event) {
      const std::lock_guard lock(mutex_);
      Answer& answer = answers_[index];
      EXPECT_EQ(answer.last.finish, FinishReason::none) << "an event after the last";
      if (event.token >= 0) answer.tokens.push_back(event.token);
      answer.text += event.text;
      answer.last = event;
      if (event.finish == FinishReason::none) return;
      --open_;
      changed_.notify_all();
    });
  }

  std::vector<Answer> wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(120), [&] { return open_ == 0; }));
    return answers_;
  }

 private:
  Engine& engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Answer> answers_;
  int open_ = 0;
};

/// Chat-like prompts: a few beginnings, many continuations; greedy and drawn.
inline std::vector<Request> mixed_requests(size_t count, int64_t vocabulary, int64_t longest) {
  std::mt19937 random(11);
  const auto tokens = [&](int64_t n) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < n; ++i)
      ids.push_back(3 + static_cast<int32_t>(random() % static_cast<uint64_t>(vocabulary - 3)));
    return ids;
  };
  const std::vector<std::vector<int32_t>> beginnings = {tokens(longest / 2), tokens(longest / 3),
                                                        tokens(5)};
  std::vector<Request> requests;
  for (size_t i = 0; i < count; ++i) {
    Request request;
    request.tokens = beginnings[random() % beginnings.size()];
    const auto tail = tokens(1 + static_cast<int64_t>(random() % 30));
    request.tokens.insert(request.tokens.end(), tail.begin(), tail.end());
    request.sampling.max_tokens = 1 + static_cast<int32_t>(random() % 40);
    request.sampling.temperature = i % 2 == 0 ? 0.0f : 0.8f;
    request.sampling.seed = random();
    request.sampling.ignore_eos = true;
    request.priority = static_cast<Priority>(random() % 3);
    request.tenant = random() % 4 == 0 ? "other" : "";
    request.use_prefix_cache = random() % 6 != 0;
    requests.push_back(request);
  }
  return requests;
}

inline std::vector<Answer> alone(const std::shared_ptr<const Model>& model,
                                 const std::vector<Request>& requests, int64_t context,
                                 const std::string& numerics = "exact") {
  const auto engine =
      make_native_engine(model, {.threads = 1, .context_length = context, .numerics = numerics});
  std::vector<Answer> answers;
  for (Request request : requests) {
    request.use_prefix_cache = false;
    Answer answer;
    engine->run(request, [&](const Event& event) {
      if (event.token >= 0) answer.tokens.push_back(event.token);
      answer.text += event.text;
      answer.last = event;
    });
    answers.push_back(answer);
  }
  return answers;
}

inline std::vector<Answer> together(Engine& engine, const std::vector<Request>& requests) {
  Load load(engine);
  std::mt19937 random(5);
  for (size_t i = 0; i < requests.size(); ++i) {
    load.submit(i, requests[i]);
    if (random() % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
  }
  return load.wait();
}

inline void expect_equal(const std::vector<Answer>& got, const std::vector<Answer>& expected,
                         const std::string& how) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_TRUE(got[i] == expected[i])
        << how << ", request " << i << ": " << got[i].last.detail << "\n got      "
        << testing::PrintToString(got[i].tokens) << "\n expected "
        << testing::PrintToString(expected[i].tokens);
}

/// All pages are free or cached once nothing runs.
inline void expect_no_leak(const Engine& engine) {
  const EngineCounters c = engine.counters();
  EXPECT_EQ(c.running + c.queued, 0);
  EXPECT_EQ(c.free_pages + c.cached_pages, c.pages);
}

}  // namespace weir::test
