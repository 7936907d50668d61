// The scheduler, the prefix index, swap and a store under random load, with a fake model whose next
// token is a hash of its whole context as the pages give it back: any wrong, stale or foreign page
// shows as a wrong token. A seed gives the same run every time, and a seed that fails says so.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "engine/scheduler.h"
#include "support/clock.h"

namespace weir {
namespace {

constexpr KvLayout kLayout{
    .type = DType::f32, .layers = 1, .kv_heads = 1, .key_dim = 1, .value_dim = 1};
constexpr int64_t kPage = kernels::kPageTokens;

uint32_t mix(uint32_t a, uint32_t b) {
  uint32_t x = (a ^ (b + 0x9e3779b9u)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

uint32_t salt_of(const std::string& tenant) { return tenant == "a" ? 17u : 99u; }

/// A fake model's pages hold, for each position, its token and a hash of all tokens so far.
uint32_t* tokens_of(std::byte* page) { return reinterpret_cast<uint32_t*>(page); }
uint32_t* hashes_of(std::byte* page) {
  return reinterpret_cast<uint32_t*>(page + kLayout.v_offset(0, 0));
}

int32_t next_token(uint32_t all) { return static_cast<int32_t>(all % 7); }

/// What the model says after `tokens`, without pages.
int32_t oracle(const std::vector<int32_t>& tokens, uint32_t salt) {
  uint32_t hash = salt, all = 0;
  for (const int32_t token : tokens) {
    hash = mix(hash, static_cast<uint32_t>(token));
    all = mix(all, mix(hash, static_cast<uint32_t>(token)));
  }
  return next_token(all);
}

/// Keeps what it likes, forgets what it likes, never gives anything else.
class ForgetfulStore : public PageStore {
 public:
  explicit ForgetfulStore(std::mt19937& random) : random_(random) {}

  bool get(const PageKey& before, std::span<const int32_t> tokens,
           std::span<std::byte> page) override {
    const auto it = pages_.find(next_key(before, tokens));
    if (it == pages_.end() || random_() % 8 == 0) {
      std::memset(page.data(), 0x5a, page.size());
      return false;
    }
    std::memcpy(page.data(), it->second.data(), page.size());
    return true;
  }
  bool put(const PageKey& before, std::span<const int32_t> tokens,
           std::span<const std::byte> page) override {
    if (random_() % 8 == 0) return false;
    if (random_() % 8 != 0) pages_[next_key(before, tokens)].assign(page.begin(), page.end());
    return true;
  }
  void flush() override {}
  int64_t pages() const override { return static_cast<int64_t>(pages_.size()); }
  int64_t bytes() const override { return 0; }
  PageKey first_key(std::string_view identity) const override {
    PageKey key{};
    std::memcpy(key.data(), identity.data(), std::min(identity.size(), key.size()));
    return key;
  }
  PageKey next_key(const PageKey& before, std::span<const int32_t> tokens) const override {
    PageKey key = before;
    std::array<uint32_t, 8> words;
    std::memcpy(words.data(), key.data(), key.size());
    for (const int32_t token : tokens)
      for (size_t i = 0; i < words.size(); ++i)
        words[i] = mix(words[i] + static_cast<uint32_t>(i), static_cast<uint32_t>(token));
    std::memcpy(key.data(), words.data(), key.size());
    return key;
  }

 private:
  std::mt19937& random_;
  std::map<PageKey, std::vector<std::byte>> pages_;
};

/// Pools are made once for each size: every run must leave its pool empty anyway.
PagePool& pool_of(int64_t pages) {
  static std::map<int64_t, std::unique_ptr<PagePool>> pools;
  auto& pool = pools[pages];
  if (pool == nullptr) pool = std::make_unique<PagePool>(kLayout, pages);
  return *pool;
}

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(static_cast<uint32_t>(seed * 2654435761u + 1)) {
    pages_ = between(6, 40);
    limits_.running = between(1, 8);
    limits_.step_tokens = between(limits_.running, 64);
    pool_ = &pool_of(pages_);
    store_ = std::make_unique<ForgetfulStore>(random_);
    const bool swaps = random_() % 2 != 0, stores = random_() % 3 == 0;
    swap_ = std::make_unique<SwapSpace>(
        kLayout.page_bytes(), between(0, 24) * static_cast<int64_t>(kLayout.page_bytes()));
    SwapSpace* const swap = swaps ? swap_.get() : nullptr;
    index_ = std::make_unique<PrefixIndex>(*pool_, swap, stores ? store_.get() : nullptr, seed);
    scheduler_ = std::make_unique<Scheduler>(*pool_, *index_, swap, limits_);
    to_come_ = between(4, 24);
    for (int i = 0; i < 3; ++i) prefixes_.push_back(random_tokens(between(1, 6) * kPage));
  }

  ~Simulation() {
    scheduler_.reset();
    index_.reset();
  }

  void run() {
    for (int step = 0; to_come_ > 0 || !scheduler_->idle(); ++step) {
      ASSERT_LT(step, 40000) << "a request waits for ever";
      now_ += 0.001 * static_cast<double>(between(1, 50));
      if (random_() % 200 == 0) now_ += 1000;
      arrive();
      cancel_some();
      one_step();
      if (testing::Test::HasFatalFailure()) return;
      if (random_() % 3 == 0) index_->persist(between(0, 4));
    }
    EXPECT_TRUE(live_.empty()) << "every request ends";
    EXPECT_EQ(index_->idle_pages(), index_->pool_pages());
    EXPECT_EQ(pool_->free_pages() + index_->pool_pages(), pages_) << "a page is lost";
    EXPECT_EQ(swap_->used(), index_->ram_pages()) << "a place in RAM is lost";
    scheduler_.reset();
    index_.reset();
    EXPECT_EQ(pool_->free_pages(), pages_);
    EXPECT_EQ(swap_->used(), 0);
  }

  uint64_t preemptions() const { return preemptions_; }
  uint64_t cached() const { return cached_; }

 private:
  struct Live {
    std::vector<int32_t> tokens;
    size_t prompt = 0, wanted = 0;
    uint32_t salt = 0;
    std::shared_ptr<std::atomic<bool>> cancel;
    bool must_end = false;  // cancelled before this step
    double deadline = 0;
  };

  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }

  std::vector<int32_t> random_tokens(int64_t count) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(random_() % 7));
    return tokens;
  }

  void arrive() {
    while (to_come_ > 0 && random_() % 4 == 0) {
      NewRequest request;
      if (random_() % 3 != 0) {
        request.tokens = prefixes_[random_() % prefixes_.size()];
        request.tokens.resize(
            static_cast<size_t>(between(1, static_cast<int64_t>(request.tokens.size()))));
      }
      const auto tail = random_tokens(between(request.tokens.empty() ? 1 : 0, 40));
      request.tokens.insert(request.tokens.end(), tail.begin(), tail.end());
      const int64_t wanted = between(1, 60);
      request.limit = static_cast<int64_t>(request.tokens.size()) + wanted - 1;
      request.priority = static_cast<Priority>(random_() % 3);
      request.identity = random_() % 4 == 0 ? "b" : "a";
      request.share = random_() % 8 != 0;
      if (random_() % 10 == 0) request.deadline = now_ + static_cast<double>(between(0, 5));
      request.cancel = std::make_shared<std::atomic<bool>>(false);
      Live live{request.tokens,
                request.tokens.size(),
                static_cast<size_t>(wanted),
                salt_of(request.identity),
                std::const_pointer_cast<std::atomic<bool>>(request.cancel),
                false,
                request.deadline};
      const int copies = random_() % 6 == 0 ? 3 : 1;  // n > 1
      for (int i = 0; i < copies && to_come_ > 0; ++i, --to_come_) {
        if (request.limit > pages_ * kPage) {
          EXPECT_THROW(scheduler_->submit(request, now_), Error);
          continue;
        }
        if (i > 0) {
          auto flag = std::make_shared<std::atomic<bool>>(false);
          request.cancel = flag;
          live.cancel = flag;
        }
        live_[scheduler_->submit(request, now_)] = live;
      }
    }
  }

  void cancel_some() {
    for (auto& [id, live] : live_) {
      if (random_() % 400 != 0) continue;
      *live.cancel = true;
    }
    for (auto& [id, live] : live_) live.must_end = *live.cancel || now_ >= live.deadline;
  }

  void check_pages(const Plan& plan) {
    int64_t used = 0;
    for (PagePool::PageId id = 0; id < pages_; ++id) {
      if (pool_->references(id) > 0)
        ++used;
      else
        std::memset(pool_->address(id), 0xa5, kLayout.page_bytes());
    }
    ASSERT_EQ(used + pool_->free_pages(), pages_);
    std::set<PagePool::PageId> written;
    for (const PlannedRun& run : plan.runs) {
      const RequestState& r = *run.request;
      ASSERT_LE(r.preemptions, Scheduler::kMostPreemptions);
      ASSERT_GE(static_cast<int64_t>(r.pages.size()) * kPage, run.start + run.rows);
      for (int64_t p = run.start / kPage; p <= (run.start + run.rows - 1) / kPage; ++p) {
        const auto page = r.pages[static_cast<size_t>(p)];
        ASSERT_EQ(pool_->references(page), 1) << "a page that others read is written";
        ASSERT_TRUE(written.insert(page).second) << "two writers of a page";
      }
    }
  }

  /// Writes the run's positions and reads the whole context back.
  int32_t forward(const PlannedRun& run) {
    const RequestState& r = *run.request;
    uint32_t hash = salt_of(r.asked.identity), all = 0;
    for (int64_t at = 0; at < run.start + run.rows; ++at) {
      std::byte* const page = r.addresses[static_cast<size_t>(at / kPage)];
      uint32_t &token = tokens_of(page)[at % kPage], &seen = hashes_of(page)[at % kPage];
      if (at >= run.start) {
        token = static_cast<uint32_t>(r.tokens[static_cast<size_t>(at)]);
        hash = mix(hash, token);
        seen = hash;
      }
      hash = seen;
      all = mix(all, mix(seen, token));
    }
    return next_token(all);
  }

  void one_step() {
    const Plan& plan = scheduler_->step(now_);
    for (const EndedRequest& ended : plan.ended) {
      ASSERT_EQ(live_.count(ended.id), 1u);
      EXPECT_TRUE(live_[ended.id].must_end);
      live_.erase(ended.id);
      scheduler_->end(ended.id);  // again: nothing
    }
    for (const auto& [id, live] : live_) ASSERT_FALSE(live.must_end) << "ends within one step";
    check_pages(plan);
    if (testing::Test::HasFatalFailure()) return;
    ASSERT_LE(plan.rows, limits_.step_tokens);
    ASSERT_LE(static_cast<int64_t>(plan.runs.size()), limits_.running);
    outcomes_.assign(plan.runs.size(), Outcome());
    for (size_t i = 0; i < plan.runs.size(); ++i) {
      const PlannedRun& run = plan.runs[i];
      const int32_t token = forward(run);
      if (!run.wants_logits) continue;
      Live& live = live_.at(run.request->id);
      ASSERT_EQ(token, oracle(live.tokens, live.salt)) << "request " << run.request->id;
      live.tokens.push_back(token);
      outcomes_[i] = {.ends = live.tokens.size() == live.prompt + live.wanted, .token = token};
      if (!outcomes_[i].ends) continue;
      cached_ += static_cast<uint64_t>(run.request->cached);
      live_.erase(run.request->id);
    }
    scheduler_->commit(outcomes_, 0.001 * static_cast<double>(between(1, 20)));
    preemptions_ = scheduler_->counters().preemptions;
  }

  std::mt19937 random_;
  int64_t pages_ = 0;
  SchedulerLimits limits_;
  PagePool* pool_ = nullptr;
  std::unique_ptr<ForgetfulStore> store_;
  std::unique_ptr<SwapSpace> swap_;
  std::unique_ptr<PrefixIndex> index_;
  std::unique_ptr<Scheduler> scheduler_;
  std::vector<std::vector<int32_t>> prefixes_;
  std::map<uint64_t, Live> live_;
  std::vector<Outcome> outcomes_;
  int64_t to_come_ = 0;
  double now_ = 0;
  uint64_t preemptions_ = 0, cached_ = 0;
};

TEST(SchedulerSimulation, EveryAnswerIsThatOfARequestAlone) {
  const char* const one = std::getenv("WEIR_SEED");
  const uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 0;
  const uint64_t seeds = one != nullptr ? 1 : test::long_tests() ? 1'000'000 : 10'000;
  uint64_t preemptions = 0, cached = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    try {
      Simulation simulation(seed);
      simulation.run();
      preemptions += simulation.preemptions();
      cached += simulation.cached();
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
    ASSERT_FALSE(HasFailure()) << "seed " << seed << "; WEIR_SEED=" << seed << " runs it alone";
  }
  if (one != nullptr) return;
  EXPECT_GT(preemptions, seeds / 10) << "the load is too light to say anything";
  EXPECT_GT(cached, seeds) << "no prefixes were shared";
}

}  // namespace
}  // namespace weir
