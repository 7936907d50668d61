// Pages and page tables: no overlap, no leak, full pools say so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "cache/page_pool.h"
#include "cache/sequence.h"

namespace weir {
namespace {

constexpr KvLayout kLayout{
    .type = DType::f16, .layers = 3, .kv_heads = 2, .key_dim = 5, .value_dim = 7};

TEST(KvLayout, PartsOfAPageDoNotOverlapAndAreAligned) {
  std::set<size_t> taken;
  for (int64_t layer = 0; layer < kLayout.layers; ++layer)
    for (int64_t head = 0; head < kLayout.kv_heads; ++head) {
      EXPECT_EQ(kLayout.k_offset(layer, head) % 64, 0u);
      EXPECT_EQ(kLayout.v_offset(layer, head) % 64, 0u);
      for (size_t i = 0; i < 16 * 5 * 2; ++i)
        EXPECT_TRUE(taken.insert(kLayout.k_offset(layer, head) + i).second);
      for (size_t i = 0; i < 16 * 7 * 2; ++i)
        EXPECT_TRUE(taken.insert(kLayout.v_offset(layer, head) + i).second);
    }
  EXPECT_LT(*taken.rbegin(), kLayout.page_bytes());
}

TEST(PagePool, SaysWithNumbersThatItIsFull) {
  PagePool pool(kLayout, 2);
  const auto a = pool.take();
  pool.take();
  try {
    pool.take();
    FAIL() << "a third page of two";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::limit_exceeded);
    EXPECT_THAT(error.what(), testing::HasSubstr("2 KV pages (32 tokens)"));
  }
  pool.release(a);
  EXPECT_EQ(pool.take(), a);
}

TEST(PagePool, APageIsFreeAfterItsLastReference) {
  PagePool pool(kLayout, 1);
  const auto id = pool.take();
  pool.retain(id);
  pool.release(id);
  EXPECT_EQ(pool.free_pages(), 0);
  pool.release(id);
  EXPECT_EQ(pool.free_pages(), 1);
  EXPECT_THROW(pool.release(id), Error);
  EXPECT_THROW(pool.retain(id), Error);
}

TEST(PagePool, RefusesMoreThanTheMemory) {
  const KvLayout huge{
      .type = DType::f32, .layers = 4096, .kv_heads = 4096, .key_dim = 1024, .value_dim = 1024};
  EXPECT_THROW(PagePool(huge, 1 << 30), Error);
  EXPECT_THROW(PagePool(kLayout, 0), Error);
}

TEST(Sequence, GrowsByPagesAndGivesThemBack) {
  PagePool pool(kLayout, 4);
  {
    Sequence sequence(pool);
    sequence.reserve(17);
    EXPECT_EQ(pool.free_pages(), 2);
    EXPECT_EQ(sequence.view().pages.size(), 2u);
    sequence.append(17);
    EXPECT_THROW(sequence.append(16), Error);
    sequence.reserve(33);
    sequence.truncate(16);
    EXPECT_EQ(sequence.length(), 16);
    EXPECT_EQ(pool.free_pages(), 3);
    EXPECT_THROW(sequence.truncate(17), Error);
  }
  EXPECT_EQ(pool.free_pages(), 4);
}

TEST(Sequence, IsUnchangedWhenThePoolIsTooSmall) {
  PagePool pool(kLayout, 3);
  Sequence first(pool), second(pool);
  first.reserve(16);
  second.reserve(16);
  EXPECT_THROW(second.reserve(64), Error);
  EXPECT_EQ(second.view().pages.size(), 1u);
  EXPECT_EQ(pool.free_pages(), 1);
  second.reserve(32);
}

}  // namespace
}  // namespace weir
