// The ops against plain loops over the same kernels' neighbours, and against themselves with other
// numbers of threads. Kernels have their own tests; here it is about shapes, splits and order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "device/cpu/attention.h"
#include "device/cpu/linear.h"
#include "device/cpu/moe.h"

namespace weir {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// A matrix that owns its floats.
struct Matrix {
  Matrix(int64_t rows, int64_t columns, unsigned seed) {
    values.resize(static_cast<size_t>(rows * columns));
    std::minstd_rand random(seed);
    std::uniform_real_distribution<float> noise(-1.0f, 1.0f);
    for (float& value : values) value = noise(random);
    tensor = {reinterpret_cast<const std::byte*>(values.data()), DType::f32, Shape{rows, columns}};
  }
  double dot(int64_t row, const float* x) const {
    double sum = 0;
    for (int64_t i = 0; i < tensor.columns(); ++i)
      sum += static_cast<double>(values[static_cast<size_t>(row * tensor.columns() + i)]) *
             static_cast<double>(x[i]);
    return sum;
  }
  std::vector<float> values;
  Tensor tensor;
};

Activations random_rows(int64_t rows, int64_t width, unsigned seed) {
  Activations x(rows, width);
  x.reset(rows, width);
  std::minstd_rand random(seed);
  std::uniform_real_distribution<float> noise(-1.0f, 1.0f);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < width; ++i) x.row(r)[i] = noise(random);
  return x;
}

TEST(Matmul, SeveralWeightsAtOnceWithBiasScaleAndCap) {
  const Matrix a(37, 96, 1), b(1, 96, 2), c(130, 96, 3), bias(1, 37, 4);
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 5}) {
    CpuDevice device(threads);
    Activations x = random_rows(9, 96, 5);
    std::vector<float> out(9 * 200, 0.0f);
    const std::vector<Projection> projections = {
        {.weight = &a.tensor, .bias = bias.values.data(), .out = out.data(), .out_stride = 200},
        {.weight = &b.tensor, .out = out.data() + 37, .out_stride = 200, .scale = 0.5f},
        {.weight = &c.tensor, .out = out.data() + 40, .out_stride = 200, .softcap = 2.0f}};
    matmul(device, x, projections);
    for (int64_t t = 0; t < 9; ++t) {
      const auto at = [&](int64_t i) {
        return static_cast<double>(out[static_cast<size_t>(t * 200 + i)]);
      };
      for (int64_t r = 0; r < 37; ++r)
        EXPECT_NEAR(at(r),
                    a.dot(r, x.row(t)) + static_cast<double>(bias.values[static_cast<size_t>(r)]),
                    1e-4);
      EXPECT_NEAR(at(37), 0.5 * b.dot(0, x.row(t)), 1e-4);
      for (int64_t r = 0; r < 130; ++r)
        EXPECT_NEAR(at(40 + r), 2.0 * std::tanh(c.dot(r, x.row(t)) / 2.0), 1e-4);
    }
    results.push_back(out);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Matmul, NamesBothShapesWhenTheyDoNotFit) {
  CpuDevice device(1);
  const Matrix a(8, 64, 1);
  Activations x = random_rows(3, 65, 2);
  std::vector<float> out(100);
  const Projection p{.weight = &a.tensor, .out = out.data(), .out_stride = 8};
  try {
    matmul(device, x, {&p, 1});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::internal);
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("{8, 64}"), testing::HasSubstr("{3, 65}")));
  }
}

TEST(FeedForward, GatedAndPlain) {
  const Matrix gate(50, 32, 1), up(50, 32, 2);
  for (const int threads : {1, 3}) {
    CpuDevice device(threads);
    Activations x = random_rows(40, 32, 3), hidden(40, 50), spare(40, 50);
    feed_forward_in(
        device, x,
        {.gate = &gate.tensor, .up = &up.tensor, .activation = kernels::Activation::silu}, hidden,
        spare);
    for (int64_t t = 0; t < 40; ++t)
      for (int64_t r = 0; r < 50; ++r) {
        const double g = gate.dot(r, x.row(t));
        EXPECT_NEAR(static_cast<double>(hidden.row(t)[r]),
                    g / (1 + std::exp(-g)) * up.dot(r, x.row(t)), 1e-4);
      }
    feed_forward_in(device, x, {.up = &up.tensor, .activation = kernels::Activation::relu_squared},
                    hidden, spare);
    for (int64_t t = 0; t < 40; ++t)
      for (int64_t r = 0; r < 50; ++r) {
        const double u = std::max(up.dot(r, x.row(t)), 0.0);
        EXPECT_NEAR(static_cast<double>(hidden.row(t)[r]), u * u, 1e-4);
      }
  }
}

TEST(Embedding, RefusesIdsOutsideTheVocabulary) {
  const Matrix table(4, 8, 1);
  std::vector<float> out(8);
  embedding_row(table.tensor, 3, out.data());
  EXPECT_EQ(out[7], table.values[31]);
  EXPECT_THROW(embedding_row(table.tensor, 4, out.data()), Error);
  EXPECT_THROW(embedding_row(table.tensor, -1, out.data()), Error);
}

// ---- attention --------------------------------------------------------------------------------

struct Pages {
  Pages(const KvLayout& l, int64_t count, float fill) : layout(l) {
    memory = Buffer(layout.page_bytes() * static_cast<size_t>(count));
    auto* const floats = reinterpret_cast<float*>(memory.data());
    for (size_t i = 0; i < memory.size() / 4; ++i) floats[i] = fill;
    // Pages in falling order, so that addresses do not follow positions.
    for (int64_t p = count - 1; p >= 0; --p)
      addresses.push_back(memory.data() + layout.page_bytes() * static_cast<size_t>(p));
  }
  KvView view() const { return {&layout, addresses}; }
  KvLayout layout;
  Buffer memory;
  std::vector<std::byte*> addresses;
};

struct AttentionCase {
  int64_t heads = 6, kv_heads = 2, key_dim = 8, value_dim = 12, tokens;
  std::vector<float> q, k, v;
  std::vector<int32_t> positions;
  explicit AttentionCase(int64_t count = 41) : tokens(count) {
    const Matrix source(tokens, heads * key_dim + kv_heads * (key_dim + value_dim), 9);
    const auto n = static_cast<size_t>(tokens);
    q.assign(source.values.begin(), source.values.begin() + 48 * static_cast<long>(n));
    k.assign(source.values.end() - 16 * static_cast<long>(n), source.values.end());
    v.assign(source.values.begin() + 7, source.values.begin() + 7 + 24 * static_cast<long>(n));
    for (int32_t i = 0; i < tokens; ++i) positions.push_back(i);
  }
  std::vector<float> run(int threads, float page_fill, int64_t window) {
    CpuDevice device(threads);
    const Pages pages = prepared(device, page_fill);
    const SequenceRun sequence{pages.view(), 0, tokens, 0};
    std::vector<float> out(static_cast<size_t>(tokens * heads * value_dim), kNaN);
    attend(device, rows(), {&sequence, 1}, positions.data(),
           {.layer = 1, .window = window, .scale = 0.3f}, out.data(), heads * value_dim);
    return out;
  }
  /// The last `count` positions alone, and in the same batch those that end at `other`, of a second
  /// sequence with the same keys and values.
  std::vector<float> run_last(int threads, int64_t count, int64_t other, int64_t window) {
    CpuDevice device(threads);
    const Pages pages = prepared(device, kNaN);
    AttentionRows some = rows();
    some.q += (tokens - 2 * count) * some.q_stride;
    some.tokens = 2 * count;
    std::vector<int32_t> at;
    for (const int64_t end : {other, tokens})
      for (int64_t i = end - count; i < end; ++i) at.push_back(static_cast<int32_t>(i));
    const SequenceRun runs[] = {{pages.view(), 0, count, other - count},
                                {pages.view(), count, count, tokens - count}};
    std::vector<float> out(static_cast<size_t>(2 * count * heads * value_dim), kNaN);
    attend(device, some, runs, at.data(), {.layer = 1, .window = window, .scale = 0.3f}, out.data(),
           heads * value_dim);
    return out;
  }

 private:
  AttentionRows rows() {
    AttentionRows rows;
    rows.q = q.data();
    rows.k = k.data();
    rows.v = v.data();
    rows.q_stride = heads * key_dim;
    rows.k_stride = kv_heads * key_dim;
    rows.v_stride = kv_heads * value_dim;
    rows.tokens = tokens;
    rows.heads = heads;
    return rows;
  }
  Pages prepared(CpuDevice& device, float page_fill) {
    Pages pages({DType::f32, 2, kv_heads, key_dim, value_dim}, (tokens + 15) / 16, page_fill);
    const SequenceRun sequence{pages.view(), 0, tokens, 0};
    prepare_attention(device, rows(), {&sequence, 1}, 1);
    return pages;
  }
};

TEST(Attention, EqualsTheDefinition) {
  AttentionCase c;
  for (const int64_t window : {int64_t{0}, int64_t{5}}) {
    const auto out = c.run(2, 0.0f, window);
    for (int64_t t = 0; t < c.tokens; ++t)
      for (int64_t h = 0; h < c.heads; ++h) {
        const int64_t kv = h / 3, first = window > 0 ? std::max<int64_t>(0, t - window + 1) : 0;
        double sum = 0;
        std::vector<double> mixed(12, 0.0);
        for (int64_t s = first; s <= t; ++s) {
          double score = 0;
          for (int64_t i = 0; i < 8; ++i)
            score += static_cast<double>(c.q[static_cast<size_t>(t * 48 + h * 8 + i)]) *
                     static_cast<double>(c.k[static_cast<size_t>(s * 16 + kv * 8 + i)]);
          const double p = std::exp(0.3 * score);
          sum += p;
          for (size_t i = 0; i < 12; ++i)
            mixed[i] += p * static_cast<double>(c.v[static_cast<size_t>(s * 24 + kv * 12) + i]);
        }
        for (size_t i = 0; i < 12; ++i)
          ASSERT_NEAR(static_cast<double>(out[static_cast<size_t>(t * 72 + h * 12) + i]),
                      mixed[i] / sum, 1e-5)
              << "token " << t << " head " << h << " window " << window;
      }
  }
}

TEST(Attention, ThreadsAndStalePagesChangeNothing) {
  AttentionCase c;
  const auto expected = c.run(1, 0.0f, 0);
  EXPECT_EQ(c.run(2, 0.0f, 0), expected);
  EXPECT_EQ(c.run(5, 0.0f, 0), expected);
  EXPECT_EQ(c.run(16, 0.0f, 0), expected) << "more threads than KV heads";
  // What an earlier sequence left behind the last position must not be read.
  EXPECT_EQ(c.run(1, kNaN, 0), expected);
  EXPECT_EQ(c.run(1, std::numeric_limits<float>::infinity(), 7), c.run(1, 0.0f, 7));
}

/// Long contexts are cut into parts where there are fewer heads than threads want.
TEST(Attention, ThreadsChangeNothingBehindLongContexts) {
  AttentionCase c(5000);
  for (const int64_t count : {1, 3})
    for (const int64_t window : {0, 900}) {
      const auto expected = c.run_last(1, count, 1800, window);
      for (const int threads : {2, 5, 16})
        EXPECT_EQ(c.run_last(threads, count, 1800, window), expected)
            << count << " tokens, window " << window << ", threads " << threads;
    }
}

TEST(Attention, RefusesPositionsOutsideThePages) {
  AttentionCase c;
  CpuDevice device(1);
  const Pages pages({DType::f32, 2, 2, 8, 12}, 2, 0.0f);
  AttentionRows rows;
  rows.tokens = c.tokens;
  rows.heads = 6;
  const SequenceRun sequence{pages.view(), 0, c.tokens, 0};
  EXPECT_THROW(prepare_attention(device, rows, {&sequence, 1}, 0), Error);
}

// ---- experts ----------------------------------------------------------------------------------

struct Experts {
  static constexpr int64_t kExperts = 5, kUsed = 3, kWidth = 32, kHidden = 48, kTokens = 23;
  Experts() : router(kExperts, kWidth, 100) {
    for (unsigned e = 0; e < kExperts; ++e) {
      matrices.emplace_back(kHidden, kWidth, 10 + e);
      matrices.emplace_back(kHidden, kWidth, 20 + e);
      matrices.emplace_back(kWidth, kHidden, 30 + e);
    }
    for (size_t e = 0; e < kExperts; ++e) {
      gate.push_back(matrices[3 * e].tensor);
      up.push_back(matrices[3 * e + 1].tensor);
      down.push_back(matrices[3 * e + 2].tensor);
    }
    layer = {.router = &router.tensor, .gate = &gate, .up = &up, .down = &down, .used = kUsed};
  }
  std::vector<float> run(int threads, int64_t tokens) {
    CpuDevice device(threads);
    Activations x = random_rows(kTokens, kWidth, 77);
    MoeWorkspace work(kTokens, kExperts, kUsed, kWidth, kHidden);
    std::vector<float> out(static_cast<size_t>(kTokens * kWidth));
    for (int64_t begin = 0; begin < kTokens; begin += tokens) {
      const int64_t n = std::min(tokens, kTokens - begin);
      Activations part(n, kWidth);
      part.reset(n, kWidth);
      for (int64_t t = 0; t < n; ++t) part.copy_row(t, x, begin + t);
      mixture_of_experts(device, part, layer, work, out.data() + begin * kWidth, kWidth);
    }
    return out;
  }
  /// One token by the definition.
  std::vector<double> expected(const float* x) const {
    std::vector<std::pair<double, size_t>> order;
    double total = 0;
    for (size_t e = 0; e < kExperts; ++e) {
      double score = router.dot(static_cast<int64_t>(e), x);
      score =
          layer.function == RouterFunction::softmax ? std::exp(score) : 1 / (1 + std::exp(-score));
      total += score;
      order.push_back({-score, e});
    }
    if (layer.function == RouterFunction::sigmoid) total = 1;
    std::sort(order.begin(), order.end());
    double chosen = 0;
    for (size_t i = 0; i < kUsed; ++i) chosen -= order[i].first / total;
    std::vector<double> out(kWidth, 0.0);
    for (size_t i = 0; i < kUsed; ++i) {
      const size_t e = order[i].second;
      double weight = -order[i].first / total * static_cast<double>(layer.weight_scale);
      if (layer.normalise) weight /= chosen;
      std::vector<float> hidden;
      for (int64_t r = 0; r < kHidden; ++r) {
        const double g = matrices[3 * e].dot(r, x);
        hidden.push_back(
            static_cast<float>(g / (1 + std::exp(-g)) * matrices[3 * e + 1].dot(r, x)));
      }
      for (int64_t r = 0; r < kWidth; ++r)
        out[static_cast<size_t>(r)] += weight * matrices[3 * e + 2].dot(r, hidden.data());
    }
    return out;
  }
  Matrix router;
  std::vector<Matrix> matrices;
  std::vector<Tensor> gate, up, down;
  MoeLayer layer;
};

TEST(Moe, EqualsTheDefinitionForEveryRouter) {
  for (const auto function : {RouterFunction::softmax, RouterFunction::sigmoid})
    for (const bool normalise : {false, true}) {
      Experts experts;
      experts.layer.function = function;
      experts.layer.normalise = normalise;
      experts.layer.weight_scale = 1.5f;
      const auto out = experts.run(2, Experts::kTokens);
      Activations x = random_rows(Experts::kTokens, Experts::kWidth, 77);
      for (int64_t t = 0; t < Experts::kTokens; ++t) {
        const auto expected = experts.expected(x.row(t));
        for (size_t i = 0; i < expected.size(); ++i)
          ASSERT_NEAR(static_cast<double>(out[static_cast<size_t>(t * Experts::kWidth) + i]),
                      expected[i], 1e-3)
              << "token " << t;
      }
    }
}

TEST(Moe, ThreadsAndBatchesChangeNothing) {
  Experts experts;
  const auto expected = experts.run(1, Experts::kTokens);
  EXPECT_EQ(experts.run(2, Experts::kTokens), expected);
  EXPECT_EQ(experts.run(5, 7), expected);
  EXPECT_EQ(experts.run(1, 1), expected);
}

TEST(Moe, TiesGoToTheLowerIdAndTheBiasChoosesOnly) {
  Experts experts;
  std::fill(experts.router.values.begin(), experts.router.values.end(), 0.0f);
  const std::vector<float> bias = {0.0f, 0.0f, 9.0f, 0.0f, 8.0f};
  experts.layer.selection_bias = bias.data();
  // All scores are 1/5; with the bias experts 2, 4 and then 0 are chosen, each weighted 1/5.
  const auto out = experts.run(1, Experts::kTokens);
  Activations x = random_rows(Experts::kTokens, Experts::kWidth, 77);
  double expected = 0;
  for (const size_t e : {2u, 4u, 0u}) {
    std::vector<float> hidden;
    for (int64_t r = 0; r < Experts::kHidden; ++r) {
      const double g = experts.matrices[3 * e].dot(r, x.row(0));
      hidden.push_back(static_cast<float>(g / (1 + std::exp(-g)) *
                                          experts.matrices[3 * e + 1].dot(r, x.row(0))));
    }
    expected += 0.2 * experts.matrices[3 * e + 2].dot(0, hidden.data());
  }
  EXPECT_NEAR(static_cast<double>(out[0]), expected, 1e-4);
}

TEST(Moe, NaNInTheRouterReachesTheOutput) {
  for (const auto function : {RouterFunction::softmax, RouterFunction::sigmoid}) {
    Experts experts;
    experts.layer.function = function;
    experts.router.values[4 * Experts::kWidth] = kNaN;  // the last expert
    EXPECT_TRUE(std::isnan(experts.run(1, Experts::kTokens)[0]));
  }
}

}  // namespace
}  // namespace weir
