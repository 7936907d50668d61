// Single decisions of the scheduler: order, classes, fairness, who yields, who waits for whom. That
// pages are right is shown by the simulation beside this file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/scheduler.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr KvLayout kLayout{
    .type = DType::f32, .layers = 1, .kv_heads = 1, .key_dim = 1, .value_dim = 1};

/// A scheduler whose requests never end by themselves.
struct World {
  PagePool pool;
  PrefixIndex index;
  Scheduler scheduler;
  double now = 0;

  World(int64_t pages, SchedulerLimits limits)
      : pool(kLayout, pages),
        index(pool, nullptr, nullptr, 1),
        scheduler(pool, index, nullptr, limits) {}

  uint64_t submit(int64_t prompt, Priority priority = Priority::normal, int64_t limit = 0,
                  int32_t first = 0) {
    NewRequest request;
    for (int64_t i = 0; i < prompt; ++i)
      request.tokens.push_back(first == 0 ? static_cast<int32_t>(1000 * scheduler.next_id())
                                          : first + static_cast<int32_t>(i));
    request.limit = limit == 0 ? prompt + 15 : limit;
    request.priority = priority;
    return scheduler.submit(std::move(request), now);
  }

  /// One step; who took part and with how many rows.
  std::map<uint64_t, int64_t> step(double seconds = 0.01) {
    now += seconds;
    const Plan& plan = scheduler.step(now);
    std::map<uint64_t, int64_t> rows;
    for (const PlannedRun& run : plan.runs) {
      rows[run.request->id] = run.rows;
      states[run.request->id] = run.request;
    }
    scheduler.commit(std::vector<Outcome>(plan.runs.size(), Outcome{.ends = false, .token = 1}),
                     seconds);
    return rows;
  }
  /// A request that took part and has not ended.
  const RequestState& last(uint64_t id) const { return *states.at(id); }
  std::map<uint64_t, RequestState*> states;
  std::vector<uint64_t> who(double seconds = 0.01) {
    std::vector<uint64_t> ids;
    for (const auto& [id, rows] : step(seconds)) ids.push_back(id);
    return ids;
  }
};

TEST(Scheduler, RefusesWhatCanNeverRunWithNumbers) {
  World world(4, {.running = 2, .step_tokens = 8});
  world.submit(49, Priority::normal, 64);
  try {
    world.submit(49, Priority::normal, 65);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::limit_exceeded);
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("65 tokens"), HasSubstr("64")));
  }
}

TEST(Scheduler, RunsInTheOrderOfArrivalWithinAClass) {
  World world(100, {.running = 2, .step_tokens = 16});
  const auto a = world.submit(1), b = world.submit(1), c = world.submit(1);
  EXPECT_THAT(world.who(), UnorderedElementsAre(a, b));
  world.scheduler.end(a);
  EXPECT_THAT(world.who(), UnorderedElementsAre(b, c));
}

TEST(Scheduler, InteractiveRequestsGoFirstAndTakeTheirPlace) {
  World world(100, {.running = 2, .step_tokens = 16});
  const auto a = world.submit(1, Priority::batch), b = world.submit(1, Priority::batch);
  EXPECT_THAT(world.who(), UnorderedElementsAre(a, b));
  const auto normal = world.submit(1), urgent = world.submit(1, Priority::interactive);
  EXPECT_THAT(world.who(), UnorderedElementsAre(normal, urgent)) << "both batch requests yield";
  const auto more = world.submit(1);
  EXPECT_THAT(world.who(), UnorderedElementsAre(normal, urgent)) << "equals do not yield";
  world.scheduler.end(urgent);
  EXPECT_THAT(world.who(), UnorderedElementsAre(normal, more));
  world.scheduler.end(normal);
  world.step();  // of the stream alone, to measure it
  EXPECT_THAT(world.who(), UnorderedElementsAre(a, more));
}

TEST(Scheduler, LowClassesDoNotStarve) {
  World world(100, {.running = 1, .step_tokens = 16});
  const auto low = world.submit(1, Priority::batch);
  bool has_run = false;
  for (int i = 0; i < 40 && !has_run; ++i) {  // one interactive request a second, without end
    const auto urgent = world.submit(1, Priority::interactive);
    for (const auto id : world.who(1.0)) {
      has_run = has_run || (i > 0 && id == low);
      if (id == urgent) world.scheduler.end(id);
    }
    world.scheduler.end(urgent);
  }
  EXPECT_TRUE(has_run);
  // Nor is one sent away again and again.
  World busy(100, {.running = 1, .step_tokens = 16});
  const auto patient = busy.submit(1, Priority::batch);
  int turns = 0;
  for (int i = 0; i < 10; ++i) {
    for (const auto id : busy.who()) turns += id == patient ? 1 : 0;
    const auto urgent = busy.submit(1, Priority::interactive);
    const auto ids = busy.who();
    turns += ids == std::vector<uint64_t>{patient} ? 1 : 0;
    busy.scheduler.end(urgent);
  }
  EXPECT_GE(turns, 10 + 10 - Scheduler::kMostPreemptions);
}

TEST(Scheduler, TheYoungestYieldsWhenPagesRunOut) {
  World world(4, {.running = 2, .step_tokens = 64});
  const auto old = world.submit(16, Priority::normal, 64),
             young = world.submit(16, Priority::normal, 64);
  bool preempted = false;
  for (int i = 0; i < 48; ++i) {
    const auto ids = world.who();
    EXPECT_THAT(ids, testing::Contains(old)) << "the oldest never waits";
    preempted = preempted || ids.size() == 1;
  }
  EXPECT_TRUE(preempted);
  EXPECT_EQ(world.scheduler.counters().preemptions, 1u) << "no coming and going";
  world.scheduler.end(old);
  EXPECT_THAT(world.who(), ElementsAre(young));
}

TEST(Scheduler, NobodyOvertakesARequestThatWaitsForPages) {
  World world(8, {.running = 4, .step_tokens = 64});
  const auto first = world.submit(80, Priority::normal, 96);
  world.step();
  const auto large = world.submit(100, Priority::normal, 110), small = world.submit(2);
  for (int i = 0; i < 5; ++i) EXPECT_THAT(world.who(), ElementsAre(first));
  world.scheduler.end(first);
  EXPECT_THAT(world.who(), testing::Contains(large));
  (void)small;
}

TEST(Scheduler, OnePromptIsComputedOnce) {
  World world(100, {.running = 4, .step_tokens = 32});
  for (int i = 0; i < 3; ++i) world.submit(161, Priority::normal, 0, 7);
  int64_t rows = 0;
  for (int i = 0; i < 6; ++i)
    for (const auto& [id, count] : world.step()) rows += count;
  EXPECT_EQ(world.scheduler.counters().cached_tokens, 2u * 160u);
  EXPECT_LE(rows, 161 + 2 + 3 * 6);
}

TEST(Scheduler, EqualPromptsSentAtOnceCostOneAndStarveNobody) {
  // A prompt of 100 pages, sent 12 times at once; in the middle, short ones of others.
  constexpr int64_t kPrompt = 1601, kCopies = 12;
  World world(400, {.running = 16, .step_tokens = 64});
  std::vector<uint64_t> others;
  for (int i = 0; i < kCopies; ++i) {
    world.submit(kPrompt, Priority::normal, 0, 7);
    if (i % 4 == 3) others.push_back(world.submit(20));
  }
  int64_t rows = 0, steps = 0;
  std::map<uint64_t, int64_t> first_token;  // the step of it
  while (first_token.size() < kCopies + others.size()) {
    ASSERT_LT(++steps, 60);
    for (const auto& [id, count] : world.step()) {
      rows += count;
      const auto* const r = &world.last(id);
      if (r->left() == 1 && first_token.count(id) == 0) first_token[id] = steps;
    }
  }
  EXPECT_EQ(world.scheduler.counters().cached_tokens,
            static_cast<uint64_t>((kCopies - 1) * (kPrompt - 1)));
  // The one prompt, the last token of each copy, the short ones, and what those gave that had
  // begun.
  EXPECT_LE(rows, kPrompt + kCopies + 20 * 3 + 16 * steps);
  for (const uint64_t id : others) EXPECT_LE(first_token[id], 5) << "short ones do not wait for it";
  const int64_t leader = first_token[1];
  for (const auto& [id, step] : first_token) EXPECT_LE(step, leader + 2) << id;
}

TEST(Scheduler, WhoWaitsForAPrefixGoesOnWhenItsLeaderIsGone) {
  World world(400, {.running = 4, .step_tokens = 32});
  const auto leader = world.submit(801, Priority::normal, 0, 7);
  const auto second = world.submit(801, Priority::normal, 0, 7);
  const auto third = world.submit(801, Priority::normal, 0, 7);
  for (int i = 0; i < 5; ++i) EXPECT_THAT(world.who(), ElementsAre(leader));
  world.scheduler.end(leader);
  EXPECT_THAT(world.who(), ElementsAre(second)) << "with what is there; the third waits for it";
  world.scheduler.end(second);
  EXPECT_THAT(world.who(), ElementsAre(third));
  EXPECT_GE(world.scheduler.counters().cached_tokens, 128u);
}

TEST(Scheduler, StreamsGoOnWhileAPromptLoads) {
  World world(1000, {.running = 4, .step_tokens = 64});
  const auto stream = world.submit(1, Priority::normal, 400);
  for (int i = 0; i < 10; ++i) world.step();
  const auto prompt = world.submit(2000);
  int64_t loaded = 0;
  for (int i = 0; i < 100; ++i) {
    const auto rows = world.step();
    EXPECT_EQ(rows.count(stream), 1u);
    if (rows.count(prompt) > 0) loaded += rows.at(prompt);
  }
  EXPECT_GT(loaded, 100);
}

TEST(Scheduler, AShortPromptNeedNotWaitForALongOne) {
  World world(1000, {.running = 4, .step_tokens = 64});
  const auto tall = world.submit(5000);
  for (int i = 0; i < 10; ++i) world.step();  // the first steps are short, to learn the pace
  const auto brief = world.submit(20);
  const auto rows = world.step();
  EXPECT_EQ(rows.at(brief), 20);
  EXPECT_EQ(rows.at(tall), 44);
}

TEST(Scheduler, EndingTwiceIsEndingOnce) {
  World world(10, {.running = 2, .step_tokens = 64});
  const auto a = world.submit(40);
  const auto b = world.submit(40);
  world.step();
  for (int i = 0; i < 3; ++i) world.scheduler.end(a);
  world.scheduler.end(77);
  EXPECT_THAT(world.who(), ElementsAre(b));
  world.scheduler.end(b);
  EXPECT_TRUE(world.scheduler.idle());
  EXPECT_EQ(world.pool.free_pages() + world.index.pool_pages(), 10);
}

}  // namespace
}  // namespace weir
