// Attention of every table equals ref bit for bit, over odd positions, windows, soft-caps, groups,
// head widths and KV types; unwritten slots (NaN) are never seen; ref equals a plain softmax.
#include <fmt/format.h>

#include <cstring>

#include "kernels/kv_blocks.h"
#include "kernels/support.h"

namespace weir {
namespace {

using kernels::AttentionArgs;
using kernels::KernelTable;
using kernels::KvPart;

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
    if (kernels::is_quantised_kv(type)) {
      for (int64_t p = 0; p < count; ++p) {
        buffers_.emplace_back(key_bytes() + kernels::kv_part_bytes(type, value_dim));
        pointers_.push_back(buffers_.back().data());
        for (int64_t j = 0; j < 16; ++j) {
          put_token(rng, KvPart::keys, j, 16 * p + j < n);
          put_token(rng, KvPart::values, j, 16 * p + j < n);
        }
      }
      return;
    }
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
    args.v_offset = key_bytes();
    args.kv_type = type_;
    args.head_dim = head_dim_;
    args.value_dim = value_dim_;
  }
  /// Puts the scale of a block of one token.
  void spoil(KvPart part, int64_t position, int64_t block, float scale) {
    const uint16_t half = float_to_half(scale);
    std::memcpy(at(part, position) + (block * 16 + position % 16) * 2, &half, sizeof half);
  }
  /// Puts number d of one token of float pages.
  void put_number(KvPart part, int64_t position, int64_t d, float x) {
    const int64_t slot = position % 16;
    put(buffers_[static_cast<size_t>(position / 16)],
        part == KvPart::keys ? d * 16 + slot : 16 * head_dim_ + slot * value_dim_ + d, x);
  }
  float key(int64_t position, int64_t d) const {
    if (kernels::is_quantised_kv(type_)) return quantised(KvPart::keys, position, d);
    return get(position, d * 16 + position % 16);
  }
  float value(int64_t position, int64_t d) const {
    if (kernels::is_quantised_kv(type_)) return quantised(KvPart::values, position, d);
    return get(position, 16 * head_dim_ + position % 16 * value_dim_ + d);
  }

 private:
  size_t key_bytes() const {
    return kernels::is_quantised_kv(type_) ? kernels::kv_part_bytes(type_, head_dim_)
                                           : static_cast<size_t>(bytes_of(type_, 16 * head_dim_));
  }
  int64_t dim(KvPart part) const { return part == KvPart::keys ? head_dim_ : value_dim_; }
  std::byte* at(KvPart part, int64_t position) const {
    std::byte* page = const_cast<std::byte*>(pointers_[static_cast<size_t>(position / 16)]);
    return part == KvPart::keys ? page : page + key_bytes();
  }
  /// One token of the last page; one that no query may see has NaN scales and any bytes.
  void put_token(std::mt19937& rng, KvPart part, int64_t slot, bool seen) {
    const int64_t n = dim(part), last = 16 * (static_cast<int64_t>(pointers_.size()) - 1);
    auto x = test::random_floats(rng, static_cast<size_t>(n));
    if (seen && slot % 5 == 3) std::fill_n(x.begin(), 32, 0.0f);  // a block with scale 0
    std::vector<int8_t> q(x.size());
    std::vector<float> d(x.size() / 32, NAN);
    std::vector<int16_t> sums(d.size());
    const KernelTable& ref = kernels::ref_table();
    if (type_ == DType::q4_0) {
      ref.quantize4(x.data(), n, q.data(), d.data());
    } else {
      ref.quantize32(x.data(), n, q.data(), d.data(), sums.data());
    }
    if (!seen) std::fill(d.begin(), d.end(), NAN);
    std::vector<uint16_t> scales(d.size());
    ref.to_half(d.data(), static_cast<int64_t>(d.size()), scales.data());
    if (type_ == DType::q4_0 && part == KvPart::keys && slot % 3 != 0) scales[0] |= 0x8000;
    kernels::kv_put(type_, part, at(part, last), n, slot, q.data(), scales.data());
  }
  float quantised(KvPart part, int64_t position, int64_t i) const {
    const std::byte* from = at(part, position);
    const auto number = [&](int64_t slot) {
      return half_to_float(kernels::kv_scale(from, i / 32, slot)) *
             static_cast<float>(kernels::kv_number(type_, part, from, dim(part), i, slot));
    };
    const bool difference = part == KvPart::keys && type_ == DType::q4_0 &&
                            kernels::kv_is_difference(from, position % 16);
    return number(position % 16) + (difference ? number(0) : 0.0f);
  }
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

/// In one walk, or, where `segments` > 0, in walks over so many segments, the last one first.
std::vector<float> attend(const KernelTable& table, const Case& c, const Pages& pages,
                          const std::vector<float>& q, int64_t segments = 0) {
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
  if (segments == 0) {
    table.attention(args);
    return out;
  }
  const int64_t end = c.positions.back() / 256 + 1;
  args.states_from = args.first_seen(c.positions.front()) / 256;
  std::vector<float> states(
      static_cast<size_t>((end - args.states_from) * tokens * c.group * args.state_floats()), NAN);
  args.states = states.data();
  for (args.last_segment = end; args.last_segment > args.states_from;
       args.last_segment -= segments) {
    args.first_segment = std::max(args.states_from, args.last_segment - segments);
    table.attention(args);
  }
  table.merge_attention(args);
  return out;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  std::vector<int32_t> chunk(37);
  for (int i = 0; i < 37; ++i) chunk[static_cast<size_t>(i)] = 240 + i;  // across a segment border
  std::vector<int32_t> start(37);
  for (int i = 0; i < 37; ++i) start[static_cast<size_t>(i)] = i;
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    all.push_back({type, 64, 64, 8, 0, 0.0f, {0}});
    all.push_back({type, 8, 8, 2, 0, 0.0f, {0, 1, 2, 3, 4, 15, 16, 17}});
    all.push_back({type, 80, 80, 1, 0, 0.0f, chunk});
    all.push_back({type, 128, 128, 4, 0, 50.0f, {700}});
    all.push_back({type, 96, 40, 3, 0, 0.0f, {255, 256, 511, 512, 513}});
    all.push_back({type, 64, 64, 5, 33, 0.0f, chunk});
    all.push_back({type, 16, 16, 1, 1, 0.0f, {0, 5, 300}});
    all.push_back({type, 256, 256, 2, 256, 30.0f, {260, 600}});
    all.push_back({type, 32, 48, 11, 100, 0.0f, chunk});      // more queries than walk together
    all.push_back({type, 1024, 1024, 4, 0, 0.0f, start});     // fewer fit the scratch
    all.push_back({type, 24, 24, 2, 0, 0.0f, {5000, 5300}});  // more than sixteen segments
  }
  for (const DType type : {DType::q8_0, DType::q4_0}) {
    all.push_back({type, 64, 64, 8, 0, 0.0f, {0}});
    all.push_back({type, 32, 32, 2, 0, 0.0f, {0, 1, 2, 3, 4, 15, 16, 17}});
    all.push_back({type, 96, 96, 1, 0, 0.0f, chunk});
    all.push_back({type, 128, 128, 4, 0, 50.0f, {700}});
    all.push_back({type, 96, 32, 3, 0, 0.0f, {255, 256, 511, 512, 513}});
    all.push_back({type, 64, 64, 5, 33, 0.0f, chunk});
    all.push_back({type, 32, 160, 7, 0, 0.0f, {271}});
    all.push_back({type, 32, 32, 1, 1, 0.0f, {0, 5, 300}});
    all.push_back({type, 256, 256, 2, 256, 30.0f, {260, 600}});
    all.push_back({type, 1024, 1024, 1, 0, 0.0f, {40}});
    all.push_back({type, 32, 64, 11, 100, 0.0f, chunk});
    all.push_back({type, 1024, 1024, 4, 0, 0.0f, start});
  }
  return all;
}

/// Queries as attention over quantised pages sees them: int8 in blocks of 32.
std::vector<float> as_seen(const Case& c, std::vector<float> q) {
  if (!kernels::is_quantised_kv(c.type)) return q;
  for (size_t b = 0; b < q.size(); b += 32) {
    float top = 0;
    for (size_t i = b; i < b + 32; ++i) top = std::max(top, std::abs(q[i]));
    for (size_t i = b; i < b + 32; ++i) q[i] = std::round(q[i] * 127 / top) * top / 127;
  }
  return q;
}

/// Queries of all tokens; every so many of them `loud` times as large.
std::vector<float> queries(std::mt19937& rng, const Case& c, float loud, size_t every) {
  auto q = test::random_floats(rng, c.positions.size() * c.group * c.head_dim);
  for (size_t i = 0; i < q.size(); ++i)
    if (i / static_cast<size_t>(c.head_dim) % every == 0) q[i] *= loud;
  return q;
}

void expect_as_ref(std::mt19937& rng, float loud, size_t every) {
  for (const Case& c : cases()) {
    const Pages pages(rng, c.type, c.head_dim, c.value_dim, c.positions.back() + 1);
    const auto q = queries(rng, c, loud, every);
    const auto expected = attend(kernels::ref_table(), c, pages, q);
    for (const KernelTable* table : test::fast_tables())
      ASSERT_TRUE(test::all_same(expected, attend(*table, c, pages, q)))
          << fmt::format("{} {} d {} group {} window {} last {}", table->isa, info(c.type).name,
                         c.head_dim, c.group, c.window, c.positions.back());
  }
}

TEST(Attention, EqualsRef) {
  std::mt19937 rng(5);
  expect_as_ref(rng, 1.0f, 1);
}

/// Scores of later pages far above those of the first: for all queries, or for some that walk
/// together with others.
TEST(Attention, EqualsRefWhereTheLargestScoreIsRaised) {
  std::mt19937 rng(8);
  expect_as_ref(rng, 40.0f, 1);
  expect_as_ref(rng, 40.0f, 5);
}

/// What a softmax in double gives for a query at `position`.
std::vector<double> plain_softmax(const Case& c, const Pages& pages, const float* query,
                                  int64_t position) {
  const int64_t begin = c.window > 0 ? std::max<int64_t>(0, position - c.window + 1) : 0;
  std::vector<double> score;
  for (int64_t j = begin; j <= position; ++j) {
    double dot = 0;
    for (int64_t d = 0; d < c.head_dim; ++d) dot += double{query[d]} * pages.key(j, d);
    dot *= 0.25;
    score.push_back(c.softcap != 0 ? c.softcap * std::tanh(dot / c.softcap) : dot);
  }
  const double largest = *std::max_element(score.begin(), score.end());
  std::vector<double> out(static_cast<size_t>(c.value_dim));
  double sum = 0;
  for (int64_t j = begin; j <= position; ++j) {
    const double p = std::exp(score[static_cast<size_t>(j - begin)] - largest);
    sum += p;
    for (int64_t d = 0; d < c.value_dim; ++d) out[static_cast<size_t>(d)] += p * pages.value(j, d);
  }
  for (double& x : out) x /= sum;
  return out;
}

TEST(Attention, WalksOverSomeSegmentsMergeToTheSame) {
  std::mt19937 rng(10);
  for (const Case& c : cases())
    for (const float loud : {1.0f, 40.0f}) {
      const Pages pages(rng, c.type, c.head_dim, c.value_dim, c.positions.back() + 1);
      const auto q = queries(rng, c, loud, 3);
      const auto expected = attend(kernels::ref_table(), c, pages, q);
      for (const int64_t segments : {1, 2}) {
        ASSERT_TRUE(test::all_same(expected, attend(kernels::ref_table(), c, pages, q, segments)));
        for (const KernelTable* table : test::fast_tables())
          ASSERT_TRUE(test::all_same(expected, attend(*table, c, pages, q, segments)))
              << fmt::format("{} {} d {} group {} window {} last {}", table->isa, info(c.type).name,
                             c.head_dim, c.group, c.window, c.positions.back());
      }
    }
}

TEST(Attention, RefEqualsAPlainSoftmax) {
  std::mt19937 rng(6);
  for (const float loud : {1.0f, 40.0f})
    for (const Case& c : cases()) {
      const Pages pages(rng, c.type, c.head_dim, c.value_dim, c.positions.back() + 1);
      const auto q = queries(rng, c, loud, 1);
      const auto found = attend(kernels::ref_table(), c, pages, q);
      const auto seen = as_seen(c, q);
      // Weights of quantised pages are bytes: half a step each, on values of about 1. The others
      // err in the sums along a head, which grow with the queries.
      const double floats = loud * (c.head_dim > 256 ? 5e-5 : 2e-5);
      const double bound = kernels::is_quantised_kv(c.type) ? 2e-2 : floats;
      for (size_t t = 0; t < c.positions.size(); ++t) {
        const auto expected = plain_softmax(
            c, pages, seen.data() + static_cast<int64_t>(t) * c.group * c.head_dim, c.positions[t]);
        const float* row = found.data() + static_cast<int64_t>(t) * (c.group * c.value_dim + 5);
        for (size_t d = 0; d < expected.size(); ++d) ASSERT_NEAR(row[d], expected[d], bound);
      }
    }
}

/// In the first page of a segment, a later one, and the one that the query sees in part.
TEST(Attention, NanAndInfinityInFloatPages) {
  std::mt19937 rng(9);
  for (const DType type : {DType::f32, DType::f16, DType::bf16})
    for (const float bad : {NAN, INFINITY, -INFINITY})
      for (const int64_t position : {256, 290, 301})
        for (const KvPart part : {KvPart::keys, KvPart::values}) {
          const Case c{type, 64, 64, 4, 0, 0.0f, {301}};
          Pages pages(rng, type, 64, 64, 302);
          pages.put_number(part, position, 17, bad);
          const auto q = queries(rng, c, 1.0f, 1);
          const auto expected = attend(kernels::ref_table(), c, pages, q);
          EXPECT_TRUE(std::isnan(expected[17]) || !std::isnan(bad));
          EXPECT_TRUE(std::isfinite(expected[16]) || part == KvPart::keys);
          for (const KernelTable* table : test::fast_tables())
            EXPECT_TRUE(test::all_same(expected, attend(*table, c, pages, q)))
                << table->isa << " " << info(type).name << " " << bad << " " << position;
        }
}

TEST(Attention, NanAndInfinityReachTheOutput) {
  std::mt19937 rng(7);
  for (const DType type : {DType::q8_0, DType::q4_0}) {
    const Case c{type, 64, 64, 4, 0, 0.0f, {300}};
    for (const float bad : {NAN, INFINITY})
      for (const int which : {0, 1, 2}) {  // a query, keys, values
        Pages pages(rng, type, 64, 64, 301);
        auto q = test::random_floats(rng, 256);
        if (which == 0) q[3 * 64 + 40] = bad;
        if (which == 1) pages.spoil(KvPart::keys, 37, 1, bad);
        if (which == 2) pages.spoil(KvPart::values, 37, 1, bad);
        const auto expected = attend(kernels::ref_table(), c, pages, q);
        const std::vector<bool> nan = {std::isnan(expected[0]), std::isnan(expected[32]),
                                       std::isnan(expected[3 * 64]), std::isnan(expected[255])};
        const std::vector<bool> spoilt[] = {
            {false, false, true, true}, {true, true, true, true}, {false, true, false, true}};
        // A key of minus infinity has no weight.
        if (!(which == 1 && std::isinf(bad))) {
          EXPECT_EQ(nan, spoilt[which]);
        }
        for (const KernelTable* table : test::fast_tables())
          EXPECT_TRUE(test::all_same(expected, attend(*table, c, pages, q)))
              << table->isa << " " << info(type).name << " " << which;
      }
  }
}

}  // namespace
}  // namespace weir
