// Matmul of the 256-element types for two to eight tokens (Q6_K from five on): eight rows at a
// time, whose super-block is unpacked once for all tokens; sums and float chains of eight rows and
// two tokens share a register. The activations are arranged in the scratch first.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/octets256.h"

namespace weir::kernels::avx512 {
namespace {

/// sums += words times scales, in pairs.
inline void add_scaled(bool first, __m512i words, __m512i scales, __m512i* sums) {
  *sums = first ? _mm512_madd_epi16(words, scales) : _mm512_dpwssd_epi32(*sums, words, scales);
}

/// Products with kSummed octets of sub-block a and of b, as words: of a lane four sums of a, two
/// of either row, then four of b.
template <int kSummed>
[[gnu::always_inline]] inline __m512i pair_products(const __m512i* a, const __m512i* b,
                                                    const int8_t* xa, const int8_t* xb) {
  __m512i first = _mm512_setzero_si512(), second = first;
#pragma GCC unroll 4
  for (int n = 0; n < kSummed; ++n) {
    first = _mm512_dpbusd_epi32(first, a[n], everywhere(xa + 8 * n));
    second = _mm512_dpbusd_epi32(second, b[n], everywhere(xb + 8 * n));
  }
  return _mm512_packs_epi32(first, second);
}

/// A super-block's products times scales, for eight rows: a register for each token.
template <typename Type, int kTokens>
struct Products {
  static constexpr int kOctets = Type::kSub / 8, kSummed = Type::kSummed;
  /// Q6_K: the products of two octets fit 16 bits if two are summed at a time, not if four are.
  static constexpr bool kByRuns = kOctets == 2 && kSummed == 1;

  const OctetHeads<Type>& heads;
  const OctetColumn<Type, kTokens>& x;
  const std::byte* asked;  // what is asked for meanwhile, evenly: in one go it takes longer
  typename Type::Turned turned;
  __m512i sums[kTokens];  // of a lane: even row, odd row, both again; by runs even, even, odd, odd

  [[gnu::always_inline]] void add(const typename Type::Block* const* row, int64_t b) {
    each<2>([&]<int half>() __attribute__((always_inline)) {
      Type::template turn<half>(row, b, &turned);
      each<8 / kOctets>([&]<int pair>() __attribute__((always_inline)) {
        prefetch_part<sizeof(typename Type::Block) * kOctetRows, 8 / kOctets * half + pair,
                      16 / kOctets>(asked);
        if constexpr (kByRuns) {
          add_run<half, 2 * pair>();
          add_run<half, 2 * pair + 1>();
        } else {
          add_pair<half, pair>();
        }
      });
    });
  }

 private:
  /// Sub-blocks 2 pair and 2 pair + 1 of the half.
  template <int half, int pair>
  [[gnu::always_inline]] void add_pair() {
    const __m512i scales = heads.template scales_of_two<half * 16 / kOctets + 2 * pair>();
    each<kOctets / kSummed>([&]<int part>() __attribute__((always_inline)) {
      constexpr int first = 2 * pair * kOctets + part * kSummed, second = first + kOctets;
      __m512i a[kSummed], b[kSummed];
      each<kSummed>([&]<int n>() __attribute__((always_inline)) {
        a[n] = Type::template octet<half, first + n>(turned);
        b[n] = Type::template octet<half, second + n>(turned);
      });
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        const int8_t* const q = x.q[t] + 128 * half;
        add_scaled(half + pair + part == 0,
                   pair_products<kSummed>(a, b, q + 8 * first, q + 8 * second), scales, &sums[t]);
      }
    });
  }

  /// A sub-block of 16.
  template <int half, int run>
  [[gnu::always_inline]] void add_run() {
    const __m512i scales = heads.template scales_of_one<8 * half + run>();
    const __m512i a = Type::template octet<half, 2 * run>(turned);
    const __m512i b = Type::template octet<half, 2 * run + 1>(turned);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      const int8_t* const q = x.q[t] + 128 * half + 16 * run;
      const __m512i words = _mm512_add_epi16(_mm512_maddubs_epi16(a, everywhere(q)),
                                             _mm512_maddubs_epi16(b, everywhere(q + 8)));
      add_scaled(half + run == 0, words, scales, &sums[t]);
    }
  }
};

/// The products of token t's runs with the rows' factors; of a lane two for the even row, then two
/// for the odd one.
template <typename Type, int kTokens>
[[gnu::always_inline]] inline __m512i run_products(const OctetHeads<Type>& heads,
                                                   const OctetColumn<Type, kTokens>& x, int t) {
  __m512i sum = _mm512_madd_epi16(heads.factor[0], everywhere(x.runs[t]));
#pragma GCC unroll 3
  for (int i = 1; i < heads.kFactors; ++i)
    sum = _mm512_dpwssd_epi32(sum, heads.factor[i], everywhere(x.runs[t] + 4 * i));
  return sum;
}

template <typename Type, int kTokens>
[[gnu::always_inline]] inline void super_block(const typename Type::Block* const* row,
                                               const std::byte* asked, int64_t b,
                                               const OctetColumn<Type, kTokens>& x,
                                               Pairs<kTokens>& chain) {
  const OctetHeads<Type> heads(row, b);
  Products<Type, kTokens> products{
      heads,
      x,
      asked + b * static_cast<int64_t>(sizeof(typename Type::Block) * kOctetRows),
      {},
      {}};
  products.add(row, b);
#pragma GCC unroll 4
  for (int p = 0; p < chain.kCount; ++p) {
    const int t = 2 * p, u = t + 1 < kTokens ? t + 1 : t;
    __m512i sum = products.kByRuns ? join_neighbours(products.sums[t], products.sums[u])
                                   : join_halves(products.sums[t], products.sums[u]);
    const __m512i runs = join_neighbours(run_products<Type, kTokens>(heads, x, t),
                                         run_products<Type, kTokens>(heads, x, u));
    if constexpr (!Type::kMinimum)
      sum = _mm512_sub_epi32(sum, _mm512_slli_epi32(runs, Type::kShift));
    const __m512 dx = _mm512_load_ps(x.d[p]);
    chain.at[p] = _mm512_fmadd_ps(_mm512_mul_ps(heads.d, dx), _mm512_cvtepi32_ps(sum), chain.at[p]);
    if constexpr (!Type::kMinimum) continue;
    const __m512 minus = _mm512_xor_ps(_mm512_mul_ps(heads.dmin, dx), _mm512_set1_ps(-0.0f));
    chain.at[p] = _mm512_fmadd_ps(minus, _mm512_cvtepi32_ps(runs), chain.at[p]);
  }
}

template <typename Type>
struct Few {
  template <int kTokens>
  static bool run(const MatmulArgs& a) {
    using Block = typename Type::Block;
    auto* const x = in_scratch<OctetColumn<Type, kTokens>>(a, a.k / 256);
    if (x == nullptr) return false;
    arrange_octets<Type, kTokens>(a, x);
    stream_octets<Block, 256, kTokens>(
        a, [&](const Block* const* row, const std::byte* asked, int64_t begin, int64_t end) {
          Pairs<kTokens> chain;
          for (int64_t b = begin; b < end; ++b)
            super_block<Type, kTokens>(row, asked, b, x[b], chain);
          return chain;
        });
    return true;
  }
};

}  // namespace

bool few_block256(DType type, const MatmulArgs& a) {
  if (type == DType::q6_k && a.tokens <= 4) return few_q6_k(a);
  return for_octets(type, [&]<typename Type>() { return few_tokens<Few<Type>, 8>(a); });
}

}  // namespace weir::kernels::avx512
