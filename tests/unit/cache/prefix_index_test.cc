// The prefix index: exact matches only, who may be evicted and in which order, and that nothing is
// lost between pool, RAM and nowhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "base/error.h"
#include "cache/prefix_index.h"

namespace weir {
namespace {

using NodeId = PrefixIndex::NodeId;

constexpr KvLayout kLayout{
    .type = DType::f16, .layers = 1, .kv_heads = 1, .key_dim = 4, .value_dim = 4};

std::vector<int32_t> text(int32_t first, size_t pages) {
  std::vector<int32_t> tokens(pages * 16);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

class PrefixIndexTest : public testing::Test {
 protected:
  explicit PrefixIndexTest(int64_t pages = 8, int64_t ram_pages = 0)
      : pool_(kLayout, pages),
        swap_(kLayout.page_bytes(), ram_pages * static_cast<int64_t>(kLayout.page_bytes())),
        index_(pool_, &swap_, nullptr, 1) {}

  /// Computes a text: all its pages are in the index and unused afterwards. Page i is filled with
  /// the low byte of its first token.
  void compute(const std::vector<int32_t>& tokens, const std::string& identity = "") {
    std::vector<NodeId> path = {index_.use_root(identity)};
    for (size_t i = 0; i < tokens.size() / 16; ++i) {
      if (pool_.free_pages() == 0) index_.evict();
      const auto page = pool_.take();
      std::memset(pool_.address(page), tokens[i * 16] & 0xff, kLayout.page_bytes());
      path.push_back(index_.insert(path.back(), std::span(tokens).subspan(i * 16, 16), page));
      pool_.release(page);
    }
    while (!path.empty()) {
      index_.release(path.back());
      path.pop_back();
    }
  }

  std::vector<NodeId> match(const std::vector<int32_t>& tokens, const std::string& identity = "",
                            bool counts = true) {
    const NodeId root = index_.use_root(identity);
    std::vector<NodeId> path;
    index_.match(root, tokens, 1000, counts, path);
    index_.release(root);
    return path;
  }

  PagePool pool_;
  SwapSpace swap_;
  PrefixIndex index_;
};

TEST_F(PrefixIndexTest, FindsTheLongestCommonBeginningInWholePages) {
  compute(text(0, 3));
  EXPECT_EQ(match(text(0, 3)).size(), 3u);
  EXPECT_EQ(match(text(0, 5)).size(), 3u);
  auto changed = text(0, 3);
  changed[47] = 9;
  EXPECT_EQ(match(changed).size(), 2u);
  changed[0] = 9;
  EXPECT_EQ(match(changed).size(), 0u);
  std::vector<int32_t> part = text(0, 1);
  part.pop_back();
  EXPECT_EQ(match(part).size(), 0u);
}

TEST_F(PrefixIndexTest, ThePageAfterAnotherBeginningIsAnotherPage) {
  auto a = text(0, 1), b = text(100, 1);
  const auto same = text(500, 1);
  a.insert(a.end(), same.begin(), same.end());
  b.insert(b.end(), same.begin(), same.end());
  compute(a);
  EXPECT_EQ(match(b).size(), 0u);
  compute(b);
  EXPECT_NE(match(a)[1], match(b)[1]);
}

TEST_F(PrefixIndexTest, IdentitiesSeeOnlyTheirOwn) {
  compute(text(0, 2), "one");
  EXPECT_EQ(match(text(0, 2), "two").size(), 0u);
  EXPECT_EQ(match(text(0, 2), "one").size(), 2u);
}

TEST_F(PrefixIndexTest, TwoWhoComputeTheSameShareOnePage) {
  const auto tokens = text(0, 1);
  const NodeId root = index_.use_root("");
  const auto first = pool_.take(), second = pool_.take();
  const NodeId a = index_.insert(root, tokens, first), b = index_.insert(root, tokens, second);
  EXPECT_EQ(a, b);
  EXPECT_EQ(index_.page(b), first);
  EXPECT_EQ(pool_.references(first), 2);
  EXPECT_EQ(pool_.references(second), 1) << "the index wants no second copy";
  pool_.release(first);
  pool_.release(second);
  for (const NodeId node : {a, b, root}) index_.release(node);
  EXPECT_EQ(index_.idle_pages(), 1);
}

TEST_F(PrefixIndexTest, EvictsLeavesFirstAndNothingInUse) {
  compute(text(0, 3));
  const auto path = match(text(0, 3));
  index_.use(path[0]);
  EXPECT_EQ(index_.idle_pages(), 2);
  EXPECT_TRUE(index_.evict());
  EXPECT_EQ(match(text(0, 3)).size(), 2u);
  EXPECT_TRUE(index_.evict());
  EXPECT_FALSE(index_.evict()) << "the first page is in use";
  EXPECT_EQ(match(text(0, 3)).size(), 1u);
  index_.release(path[0]);
  EXPECT_TRUE(index_.evict());
  EXPECT_EQ(pool_.free_pages(), 8);
}

TEST_F(PrefixIndexTest, KeepsWhatIsUsedLatelyAndWhatIsUsedOften) {
  compute(text(0, 1));
  compute(text(100, 1));
  compute(text(200, 1));
  for (int i = 0; i < 40; ++i) match(text(0, 1));  // often
  match(text(100, 1));
  match(text(200, 1));  // last
  ASSERT_TRUE(index_.evict());
  EXPECT_EQ(match(text(100, 1), "", false).size(), 0u);
  ASSERT_TRUE(index_.evict());
  EXPECT_EQ(match(text(200, 1), "", false).size(), 0u) << "used once, though last";
  EXPECT_EQ(match(text(0, 1), "", false).size(), 1u);
  // Not for ever: after many look-ups of others it goes.
  compute(text(300, 1));
  for (int i = 0; i < 200; ++i) match(text(300, 1));
  compute(text(400, 1));
  ASSERT_TRUE(index_.evict());
  EXPECT_EQ(match(text(0, 1), "", false).size(), 0u);
}

class PrefixIndexWithRam : public PrefixIndexTest {
 protected:
  PrefixIndexWithRam() : PrefixIndexTest(4, 3) {}
};

TEST_F(PrefixIndexWithRam, EvictedPagesComeBackWithTheirContent) {
  compute(text(0, 3));
  while (index_.evict()) continue;
  EXPECT_EQ(index_.ram_pages(), 3);
  EXPECT_EQ(pool_.free_pages(), 4);
  const auto path = match(text(0, 3));
  ASSERT_EQ(path.size(), 3u);
  for (size_t i = 0; i < path.size(); ++i) {
    index_.use(path[i]);
    EXPECT_FALSE(index_.in_pool(path[i]));
    index_.bring_back(path[i], pool_.take());
    const auto* const content = pool_.address(index_.page(path[i]));
    EXPECT_EQ(static_cast<size_t>(content[7]), i * 16);
  }
  EXPECT_EQ(index_.ram_pages(), 0);
  EXPECT_EQ(swap_.used(), 0);
  for (const NodeId node : path) index_.release(node);
}

TEST_F(PrefixIndexWithRam, AFullRamDropsItsOldest) {
  for (int32_t i = 0; i < 6; ++i) compute(text(100 * i, 1));
  while (index_.evict()) continue;
  EXPECT_EQ(index_.ram_pages(), 3);
  EXPECT_EQ(match(text(0, 1)).size(), 0u);
  EXPECT_EQ(match(text(500, 1)).size(), 1u);
  EXPECT_TRUE(index_.evict_from_ram());
  EXPECT_EQ(swap_.used(), 2);
}

TEST_F(PrefixIndexWithRam, ATextThatIsComputedAgainLeavesRam) {
  compute(text(0, 2));
  while (index_.evict()) continue;
  EXPECT_EQ(index_.ram_pages(), 2);
  compute(text(0, 2));
  EXPECT_EQ(index_.ram_pages(), 0);
  EXPECT_EQ(index_.pool_pages(), 2);
}

TEST_F(PrefixIndexTest, LongTextsComeAndGoWithoutALeak) {
  for (int32_t i = 0; i < 50; ++i) compute(text(i % 7 * 1000, 8), i % 3 == 0 ? "a" : "b");
  while (index_.evict()) continue;
  EXPECT_EQ(pool_.free_pages(), 8);
  EXPECT_EQ(index_.pool_pages(), 0);
}

TEST(SwapSpace, GivesBackWhatWasStored) {
  SwapSpace swap(128, 300);
  EXPECT_EQ(swap.slots(), 2);
  std::vector<std::byte> a(128, std::byte{1}), b(128, std::byte{2}), out(128);
  const auto first = swap.store(a.data()), second = swap.store(b.data());
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(swap.store(a.data()));
  swap.load(*first, out.data());
  EXPECT_EQ(out, a);
  swap.release(*first);
  EXPECT_TRUE(swap.store(b.data()));
  EXPECT_EQ(swap.used(), 2);
  EXPECT_EQ(SwapSpace(128, 0).slots(), 0);
  EXPECT_EQ(SwapSpace(128, -5).slots(), 0);
}

}  // namespace
}  // namespace weir
