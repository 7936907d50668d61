#include "lab/selftest.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "base/error.h"
#include "engine/engine.h"
#include "kernels/kernels.h"
#include "kernels/kv_blocks.h"
#include "lab/embedded_model.h"
#include "tensor/blocks.h"
#include "tensor/tensor.h"

namespace weir {
namespace {

using kernels::KernelTable;

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i]) &&
        !(std::isnan(a[i]) && std::isnan(b[i])))
      return false;
  return a.size() == b.size();
}

/// Random bytes; NaN results compare equal, so any bits will do.
Buffer random_bytes(std::mt19937& rng, int64_t bytes) {
  Buffer buffer(static_cast<size_t>(bytes));
  for (size_t i = 0; i + 4 <= buffer.size(); i += 4) {
    const uint32_t word = static_cast<uint32_t>(rng());
    std::memcpy(buffer.data() + i, &word, 4);
  }
  return buffer;
}

std::vector<float> random_floats(std::mt19937& rng, int64_t n) {
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = static_cast<float>(static_cast<int32_t>(rng())) * 0x1p-30f;
  return x;
}

/// The product of one type and shape by a table.
std::vector<float> multiply(const KernelTable& table, DType type, const Buffer& w, int64_t rows,
                            int64_t k, int64_t tokens, std::vector<float>& x) {
  const bool wide = info(type).kind == DTypeClass::block256;
  const int64_t block = wide ? 256 : 32, run = wide ? 16 : 32;
  std::vector<int8_t> q(static_cast<size_t>(tokens * k));
  std::vector<float> d(static_cast<size_t>(tokens * k / block + 1));
  std::vector<int16_t> s(static_cast<size_t>(tokens * k / run + 1));
  kernels::MatmulArgs args;
  std::vector<kernels::Peak> peak(d.size());
  args.xq = {q.data(), d.data(), s.data(), k, k / block, k / run, peak.data()};
  for (int64_t t = 0; t < tokens && info(type).kind != DTypeClass::real; ++t) {
    const kernels::QuantRows row = args.xq.from(t);
    if (wide) {
      table.quantize256(x.data() + t * k, k, row.q, row.d, row.s, row.peak);
    } else {
      table.quantize32(x.data() + t * k, k, row.q, row.d, row.s);
    }
  }
  Buffer scratch(kernels::kMatmulScratch);
  std::vector<float> out(static_cast<size_t>(rows * tokens));
  args.w = w.data();
  args.row_bytes = static_cast<size_t>(bytes_of(type, k));
  args.rows = rows;
  args.k = k;
  args.tokens = tokens;
  args.x = x.data();
  args.x_stride = k;
  args.out = out.data();
  args.out_stride = rows;
  args.scratch = scratch.data();
  table.matmul[static_cast<size_t>(type)](args);
  return out;
}

SelfTestResult check_matmuls(const KernelTable& table) {
  std::mt19937 rng(20);
  int compared = 0;
  for (const DTypeInfo& row : all_dtypes()) {
    if (row.kind == DTypeClass::other) continue;
    for (const int64_t tokens : {1, 5, 13}) {
      const int64_t k = 2304, rows = 19;
      const Buffer w = random_bytes(rng, bytes_of(row.type, rows * k));
      auto x = random_floats(rng, tokens * k);
      if (!same_bits(multiply(kernels::ref_table(), row.type, w, rows, k, tokens, x),
                     multiply(table, row.type, w, rows, k, tokens, x)))
        return {"", false, fmt::format("matmul {} with {} tokens differs", row.name, tokens)};
      ++compared;
    }
  }
  return {"", true, fmt::format("{} matmuls", compared)};
}

/// Keys and values of one page of a head of `dim`, any valid ones.
Buffer random_page(std::mt19937& rng, DType type, int64_t dim) {
  const size_t part = kernels::kv_part_bytes(type, dim);
  Buffer page(2 * part);
  if (!kernels::is_quantised_kv(type)) {
    auto* const to = reinterpret_cast<uint16_t*>(page.data());
    for (int64_t i = 0; const float v : random_floats(rng, 2 * 16 * dim))
      to[i++] = float_to_half(v);
    return page;
  }
  std::vector<int8_t> q(static_cast<size_t>(dim));
  std::vector<uint16_t> scales(static_cast<size_t>(dim / kernels::kKvBlock));
  const int most = type == DType::q4_0 ? 7 : 63;
  for (int64_t token = 0; token < 2 * kernels::kPageTokens; ++token) {
    for (int8_t& value : q)
      value = static_cast<int8_t>(2 * static_cast<int>(rng() % (2 * most + 1)) - 2 * most + 1);
    for (uint16_t& scale : scales) scale = float_to_half(static_cast<float>(1 + rng() % 9) / 100);
    const bool keys = token < kernels::kPageTokens;
    if (type == DType::q4_0 && keys && token % 3 != 0) scales[0] |= 0x8000;  // a difference
    kernels::kv_put(type, keys ? kernels::KvPart::keys : kernels::KvPart::values,
                    page.data() + (keys ? 0 : part), dim, token % kernels::kPageTokens, q.data(),
                    scales.data());
  }
  return page;
}

SelfTestResult check_attention_of(const KernelTable& table, DType type) {
  std::mt19937 rng(21);
  const int64_t dim = 64, group = 4;
  const std::vector<int32_t> positions = {0, 17, 255, 256, 300};
  std::vector<Buffer> pages;
  std::vector<const std::byte*> pointers;
  for (int i = 0; i < 20; ++i) pages.push_back(random_page(rng, type, dim));
  for (const Buffer& page : pages) pointers.push_back(page.data());
  const auto count = static_cast<int64_t>(positions.size());
  const auto q = random_floats(rng, count * group * dim);
  Buffer scratch(kernels::kAttentionScratch);
  // In one walk, or in one for each of the two segments.
  const auto attend = [&](const KernelTable& t, int64_t window, bool cut) {
    std::vector<float> out(static_cast<size_t>(count * group * dim));
    kernels::AttentionArgs a;
    a.pages = pointers.data();
    a.v_offset = kernels::kv_part_bytes(type, dim);
    a.kv_type = type;
    a.head_dim = a.value_dim = dim;
    a.q = q.data();
    a.q_stride = a.out_stride = group * dim;
    a.positions = positions.data();
    a.tokens = count;
    a.group = group;
    a.window = window;
    a.scale = 0.125f;
    a.out = out.data();
    a.scratch = scratch.data();
    if (!cut) {
      t.attention(a);
      return out;
    }
    std::vector<float> states(static_cast<size_t>(2 * count * group * a.state_floats()));
    a.states = states.data();
    for (a.last_segment = 2; a.last_segment > 0; --a.last_segment) {
      a.first_segment = a.last_segment - 1;
      t.attention(a);
    }
    t.merge_attention(a);
    return out;
  };
  for (const int64_t window : {0, 33})
    for (const bool cut : {false, true})
      if (!same_bits(attend(kernels::ref_table(), window, false), attend(table, window, cut)))
        return {"", false,
                fmt::format("attention over {} with window {}{} differs", info(type).name, window,
                            cut ? ", in parts," : "")};
  return {"", true, "attention"};
}

SelfTestResult check_attention(const KernelTable& table) {
  for (const DType type : {DType::f16, DType::q8_0, DType::q4_0})
    if (auto result = check_attention_of(table, type); !result.passed) return result;
  return {"", true, "attention"};
}

/// Rows on their way to a quantised KV cache.
SelfTestResult check_kv_rows(const KernelTable& table) {
  std::mt19937 rng(23);
  const KernelTable& ref = kernels::ref_table();
  for (const int64_t n : {32, 128, 512}) {
    auto a = random_floats(rng, n), b = a;
    ref.hadamard(a.data(), n);
    table.hadamard(b.data(), n);
    if (!same_bits(a, b)) return {"", false, "the Hadamard transform differs"};
    std::vector<int8_t> qa(a.size()), qb(a.size());
    std::vector<float> da(a.size() / 32), db(a.size() / 32);
    ref.quantize4(a.data(), n, qa.data(), da.data());
    table.quantize4(a.data(), n, qb.data(), db.data());
    if (qa != qb || !same_bits(da, db)) return {"", false, "four-bit quantisation differs"};
  }
  return {"", true, "KV rows"};
}

SelfTestResult check_elementwise(const KernelTable& table) {
  std::mt19937 rng(22);
  const KernelTable& ref = kernels::ref_table();
  for (const int64_t n : {7, 64, 301}) {
    const auto x = random_floats(rng, n), w = random_floats(rng, n);
    std::vector<float> a(x.size()), b(x.size());
    ref.rms_norm(x.data(), w.data(), n, 1e-5f, a.data());
    table.rms_norm(x.data(), w.data(), n, 1e-5f, b.data());
    if (!same_bits(a, b)) return {"", false, "rms_norm differs"};
    ref.layer_norm(x.data(), w.data(), nullptr, n, 1e-5f, a.data());
    table.layer_norm(x.data(), w.data(), nullptr, n, 1e-5f, b.data());
    if (!same_bits(a, b)) return {"", false, "layer_norm differs"};
    for (int f = 0; f <= static_cast<int>(kernels::Activation::relu_squared); ++f) {
      ref.activate(kernels::Activation(f), x.data(), w.data(), n, a.data());
      table.activate(kernels::Activation(f), x.data(), w.data(), n, b.data());
      if (!same_bits(a, b)) return {"", false, "an activation differs"};
    }
    a = b = x;
    ref.softmax(a.data(), n);
    table.softmax(b.data(), n);
    if (!same_bits(a, b)) return {"", false, "softmax differs"};
  }
  return {"", true, "norms, activations, softmax"};
}

SelfTestResult check_table(const KernelTable& table) {
  SelfTestResult all{fmt::format("kernels {}", table.isa), true, ""};
  for (const auto check : {check_matmuls, check_attention, check_kv_rows, check_elementwise}) {
    const SelfTestResult part = check(table);
    if (!part.passed) return {all.name, false, part.detail};
    all.detail += (all.detail.empty() ? "" : ", ") + part.detail;
  }
  all.detail += " equal the reference bit for bit";
  return all;
}

std::string answer(const std::shared_ptr<const Model>& model, int threads, int64_t chunk,
                   float temperature) {
  NativeOptions options;
  options.threads = threads;
  options.prefill_chunk = chunk;
  options.context_length = 192;
  const auto engine = make_native_engine(model, options);
  Request request;
  request.prompt =
      "Once upon a time, there was a little fox who lived near a river. One day, the fox found";
  request.sampling.temperature = temperature;
  request.sampling.seed = 7;
  request.sampling.max_tokens = 24;
  std::string text;
  engine->run(request, [&](const Event& event) { text += event.text; });
  return text;
}

SelfTestResult check_model(const std::shared_ptr<const Model>& model, const std::string& isa) {
  SelfTestResult result{fmt::format("embedded model on {}", isa), true,
                        "the same text with 1, 2 and 5 threads, prompts cut at 1, 7 and 512"};
  for (const float temperature : {0.0f, 0.8f}) {
    const std::string expected = answer(model, 1, 512, temperature);
    const std::pair<int, int64_t> ways[] = {{2, 512}, {5, 512}, {1, 1}, {2, 7}};
    for (const auto& [threads, chunk] : ways)
      if (answer(model, threads, chunk, temperature) != expected)
        return {result.name, false,
                fmt::format("{} threads, prompt cut at {}: another text", threads, chunk)};
  }
  return result;
}

}  // namespace

bool SelfTestReport::passed() const {
  for (const SelfTestResult& result : results)
    if (!result.passed) return false;
  return !results.empty();
}

SelfTestReport run_self_test(const std::function<void(const SelfTestResult&)>& on_result) {
  SelfTestReport report;
  report.isa = kernels::active_table().isa;
  const auto add = [&](SelfTestResult result) {
    if (on_result) on_result(result);
    report.results.push_back(std::move(result));
  };
  for (const KernelTable* table : kernels::tables())
    if (table != &kernels::ref_table()) add(check_table(*table));
  add(check_model(load_embedded_model(), report.isa));
  return report;
}

}  // namespace weir
