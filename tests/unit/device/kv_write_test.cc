// Q4_0 keys in a page: as they are or as differences from the page's first one, whoever writes
// them.
#include "device/cpu/kv_write.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "device/cpu/attention.h"
#include "tensor/blocks.h"

namespace weir {
namespace {

constexpr int64_t kDim = 64;
using Keys = std::vector<std::vector<float>>;

/// One page of one head.
class Page {
 public:
  Page() : memory_(layout_.page_bytes()), address_(memory_.data()) {}
  KvView view() const { return {&layout_, {&address_, 1}}; }
  void write(const Keys& keys) {
    const kernels::KernelTable& table = kernels::ref_table();
    const std::vector<float> values(kDim);
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto position = static_cast<int64_t>(i);
      write_token(table, view(), 0, position, keys[i].data(), values.data());
      if (i > 0) write_key4(table, view(), 0, position, keys[i].data());
    }
  }
  bool is_difference(int64_t slot) const { return kernels::kv_is_difference(address_, slot); }
  float number(int64_t slot, int64_t i) const {
    return half_to_float(kernels::kv_scale(address_, i / 32, slot)) *
           static_cast<float>(
               kernels::kv_number(DType::q4_0, kernels::KvPart::keys, address_, kDim, i, slot));
  }
  float key(int64_t slot, int64_t i) const {
    return number(slot, i) + (is_difference(slot) ? number(0, i) : 0.0f);
  }
  /// Root of the mean square of what writing changed, from the second key on.
  double error(const Keys& keys) const {
    double sum = 0;
    for (size_t j = 1; j < keys.size(); ++j)
      for (size_t i = 0; i < keys[j].size(); ++i)
        sum += std::pow(key(static_cast<int64_t>(j), static_cast<int64_t>(i)) - keys[j][i], 2);
    return std::sqrt(sum / static_cast<double>((keys.size() - 1) * kDim));
  }

 private:
  KvLayout layout_{DType::q4_0, 1, 1, kDim, kDim};
  Buffer memory_;
  std::byte* address_;
};

/// 16 keys of normal numbers around `centre`.
Keys keys_around(float centre) {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal;
  Keys keys(16, std::vector<float>(kDim));
  for (auto& key : keys)
    for (size_t i = 0; i < key.size(); ++i) key[i] = normal(rng) + (i % 2 == 0 ? centre : -centre);
  return keys;
}

TEST(KvWrite, WhatKeysOfAPageShareCostsNoBits) {
  const Keys keys = keys_around(20.0f);
  Page page;
  page.write(keys);
  EXPECT_FALSE(page.is_difference(0));
  for (int64_t slot = 1; slot < 16; ++slot) EXPECT_TRUE(page.is_difference(slot)) << slot;
  // A step of whole keys would be 22 / 8, its error 0.8.
  EXPECT_LT(page.error(keys), 0.25);
}

TEST(KvWrite, KeysUnlikeTheFirstStayAsTheyAre) {
  Keys keys = keys_around(0.0f);
  for (float& x : keys[0]) x *= 30.0f;
  Page page;
  page.write(keys);
  for (int64_t slot = 1; slot < 16; ++slot) EXPECT_FALSE(page.is_difference(slot)) << slot;
  EXPECT_LT(page.error(keys), 0.12);
}

TEST(KvWrite, AFirstKeyThatIsNoNumberSpoilsItselfOnly) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), 1e30f}) {
    Keys keys = keys_around(5.0f);
    keys[0][40] = bad;
    Page page;
    page.write(keys);
    EXPECT_FALSE(std::isfinite(page.key(0, 40)));
    for (int64_t slot = 1; slot < 16; ++slot) EXPECT_FALSE(page.is_difference(slot)) << slot;
    EXPECT_LT(page.error(keys), 0.5);
  }
}

TEST(KvWrite, ThreadsAndChunksGiveTheSameBytes) {
  constexpr int64_t kTokens = 77, kHeads = 2;
  std::mt19937 rng(4);
  std::normal_distribution<float> normal;
  std::vector<float> k(kTokens * kHeads * kDim), v(k.size());
  for (size_t i = 0; i < k.size(); ++i) k[i] = normal(rng) + (i % kDim < 8 ? 6.0f : 0.0f);
  for (float& x : v) x = normal(rng);
  const KvLayout layout{DType::q4_0, 1, kHeads, kDim, kDim};
  const auto pages_of = [&](int threads, int64_t chunk) {
    CpuDevice device(threads);
    Buffer memory(5 * layout.page_bytes());
    std::memset(memory.data(), 0, memory.size());
    std::vector<std::byte*> pages;
    for (size_t p = 0; p < 5; ++p) pages.push_back(memory.data() + p * layout.page_bytes());
    auto q = k, keys = k, values = v;
    for (int64_t begin = 0; begin < kTokens; begin += chunk) {
      AttentionRows rows;
      const auto at = static_cast<size_t>(begin * kHeads * kDim);
      rows.q = q.data() + at, rows.k = keys.data() + at, rows.v = values.data() + at;
      rows.q_stride = rows.k_stride = rows.v_stride = kHeads * kDim;
      rows.tokens = std::min(chunk, kTokens - begin);
      rows.heads = kHeads;
      const SequenceRun run{{&layout, pages}, 0, rows.tokens, begin};
      prepare_attention(device, rows, {&run, 1}, 0);
    }
    return std::vector<std::byte>(memory.data(), memory.data() + memory.size());
  };
  const auto expected = pages_of(1, kTokens);
  for (const int threads : {1, 2, 5})
    for (const int64_t chunk : {int64_t{1}, int64_t{7}, kTokens})
      EXPECT_EQ(pages_of(threads, chunk), expected) << threads << " threads, " << chunk;
}

}  // namespace
}  // namespace weir
