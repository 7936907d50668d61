// Attention of every table equals ref bit for bit, over odd positions, windows, soft-caps, groups,
// head widths and KV types; unwritten slots (NaN) are never seen; ref equals a plain softmax.
#include <fmt/format.h>

#include <cstring>

#include "kernels/support.h"

namespace weir {
namespace {

using kernels::AttentionArgs;
using kernels::KernelTable;

struct Case {
  DType type;
  int64_t head_dim, value_dim, group, window;
  float softcap;
  std::vector<int32_t> positions;
};

/// Pages for positions 0 ... n - 1; every slot beyond holds NaN.
class Pages {
 public:
  Pages(std::mt19937& rng, DType type, int64_t head_dim, int64_t value_dim, int64_t n)
      : type_(type), head_dim_(head_dim), value_dim_(value_dim) {
    const int64_t count = (n + 15) / 16;
    const int64_t elements = 16 * (head_dim + value_dim);
    for (int64_t p = 0; p < count; ++p) {
      buffers_.emplace_back(static_cast<size_t>(bytes_of(type, elements)));
      for (int64_t i = 0; i < elements; ++i) {
        const int64_t j = i < 16 * head_dim ? i % 16 : (i - 16 * head_dim) / value_dim;
        put(buffers_.back(), i, 16 * p + j < n ? std::normal_distribution<float>()(rng) : NAN);
      }
      pointers_.push_back(buffers_.back().data());
    }
  }
  void bind(AttentionArgs& args) const {
    args.pages = pointers_.data();
    args.k_offset = 0;
    args.v_offset = static_cast<size_t>(bytes_of(type_, 16 * head_dim_));
    args.kv_type = type_;
    args.head_dim = head_dim_;
    args.value_dim = value_dim_;
  }
  float key(int64_t position, int64_t d) const { return get(position, d * 16 + position % 16); }
  float value(int64_t position, int64_t d) const {
    return get(position, 16 * head_dim_ + position % 16 * value_dim_ + d);
  }

 private:
  void put(Buffer& page, int64_t index, float x) {
    const uint16_t narrow = type_ == DType::f16 ? float_to_half(x) : float_to_bfloat(x);
    std::byte* at = page.data() + bytes_of(type_, index);
    if (type_ == DType::f32) {
      std::memcpy(at, &x, 4);
    } else {
      std::memcpy(at, &narrow, 2);
    }
  }
  float get(int64_t position, int64_t index) const {
    float x;
    to_float(type_, pointers_[static_cast<size_t>(position / 16)] + bytes_of(type_, index), 1, &x);
    return x;
  }
  DType type_;
  int64_t head_dim_, value_dim_;
  std::vector<Buffer> buffers_;
  std::vector<const std::byte*> pointers_;
};

std::vector<float> attend(const KernelTable& table, const Case& c, const Pages& pages,
                          const std::vector<float>& q) {
  const auto tokens = static_cast<int64_t>(c.positions.size());
  Buffer scratch(kernels::kAttentionScratch);
  std::vector<float> out(static_cast<size_t>(tokens * (c.group * c.value_dim + 5)), -77.0f);
  AttentionArgs args;
  pages.bind(args);
  args.q = q.data();
  args.q_stride = c.group * c.head_dim;
  args.positions = c.positions.data();
  args.tokens = tokens;
  args.group = c.group;
  args.window = c.window;
  args.scale = 0.25f;
  args.softcap = c.softcap;
  args.out = out.data();
  args.out_stride = c.group * c.value_dim + 5;
  args.scratch = scratch.data();
  table.attention(args);
  return out;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  std::vector<int32_t> chunk(37);
  for (int i = 0; i < 37; ++i) chunk[static_cast<size_t>(i)] = 240 + i;  // across a segment border
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    all.push_back({type, 64, 64, 8, 0, 0.0f, {0}});
    all.push_back({type, 8, 8, 2, 0, 0.0f, {0, 1, 2, 3, 4, 15, 16, 17}});
    all.push_back({type, 80, 80, 1, 0, 0.0f, chunk});
    all.push_back({type, 128, 128, 4, 0, 50.0f, {700}});
    all.push_back({type, 96, 40, 3, 0, 0.0f, {255, 256, 511, 512, 513}});
    all.push_back({type, 64, 64, 5, 33, 0.0f, chunk});
    all.push_back({type, 16, 16, 1, 1, 0.0f, {0, 5, 300}});
    all.push_back({type, 256, 256, 2, 256, 30.0f, {260, 600}});
  }
  return all;
}

TEST(Attention, EqualsRef) {
  std::mt19937 rng(5);
  for (const Case& c : cases()) {
    const Pages pages(rng, c.type, c.head_dim, c.value_dim, c.positions.back() + 1);
    const auto q = test::random_floats(rng, c.positions.size() * c.group * c.head_dim);
    const auto expected = attend(kernels::ref_table(), c, pages, q);
    for (const KernelTable* table : test::fast_tables())
      ASSERT_TRUE(test::all_same(expected, attend(*table, c, pages, q)))
          << fmt::format("{} {} d {} group {} window {} last {}", table->isa, info(c.type).name,
                         c.head_dim, c.group, c.window, c.positions.back());
  }
}

TEST(Attention, RefEqualsAPlainSoftmax) {
  std::mt19937 rng(6);
  for (const Case& c : cases()) {
    const Pages pages(rng, c.type, c.head_dim, c.value_dim, c.positions.back() + 1);
    const auto q = test::random_floats(rng, c.positions.size() * c.group * c.head_dim);
    const auto found = attend(kernels::ref_table(), c, pages, q);
    for (size_t t = 0; t < c.positions.size(); ++t) {
      const int64_t position = c.positions[t];
      const int64_t begin = c.window > 0 ? std::max<int64_t>(0, position - c.window + 1) : 0;
      const float* query = q.data() + static_cast<int64_t>(t) * c.group * c.head_dim;
      std::vector<double> out(static_cast<size_t>(c.value_dim));
      double sum = 0;
      for (int64_t j = begin; j <= position; ++j) {
        double score = 0;
        for (int64_t d = 0; d < c.head_dim; ++d) score += double{query[d]} * pages.key(j, d);
        score *= 0.25;
        if (c.softcap != 0) score = c.softcap * std::tanh(score / c.softcap);
        const double p = std::exp(score);
        sum += p;
        for (int64_t d = 0; d < c.value_dim; ++d)
          out[static_cast<size_t>(d)] += p * pages.value(j, d);
      }
      for (int64_t d = 0; d < c.value_dim; ++d)
        ASSERT_NEAR(
            found[t * static_cast<size_t>(c.group * c.value_dim + 5) + static_cast<size_t>(d)],
            out[static_cast<size_t>(d)] / sum, 2e-5);
    }
  }
}

}  // namespace
}  // namespace weir
