#include "cases.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace weir::bench {
namespace {

constexpr int64_t kHead = 64;
constexpr int64_t kGroup = 8;

Bytes make_bytes(size_t size) {
  return Bytes(static_cast<std::byte*>(::operator new (size, std::align_val_t{64})));
}

/// Quantised blocks are any bytes: all are valid, and speed does not depend on the values.
Bytes some_weights(const kernels::KernelTable& table, DType type, int64_t elements) {
  const auto size = static_cast<size_t>(bytes_of(type, elements));
  Bytes weights = make_bytes(size);
  if (info(type).kind != DTypeClass::real) {
    std::mt19937 random(2);
    for (size_t i = 0; i < size; ++i) weights.get()[i] = static_cast<std::byte>(random());
    return weights;
  }
  const std::vector<float> values = some_floats(elements);
  if (type == DType::f32) {
    std::memcpy(weights.get(), values.data(), size);
  } else {
    // Read as BF16 these are odd numbers, but finite ones.
    table.to_half(values.data(), elements, reinterpret_cast<uint16_t*>(weights.get()));
  }
  return weights;
}

}  // namespace

std::vector<float> some_floats(int64_t count) {
  std::mt19937 random(1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values)
    value = static_cast<float>(static_cast<int32_t>(random() % 4001) - 2000) / 2000.0f;
  return values;
}

MatmulCase::MatmulCase(const kernels::KernelTable& table, DType type, int64_t rows, int64_t k,
                       int64_t tokens)
    : kernel_(table.matmul[static_cast<size_t>(type)]),
      weights_(some_weights(table, type, rows * k)),
      scratch_(make_bytes(kernels::kMatmulScratch)),
      x_(some_floats(tokens * k)),
      out_(static_cast<size_t>(tokens * rows)) {
  args_.w = weights_.get();
  args_.row_bytes = static_cast<size_t>(bytes_of(type, k));
  args_.rows = rows;
  args_.k = k;
  args_.tokens = tokens;
  args_.x = x_.data();
  args_.x_stride = k;
  args_.out = out_.data();
  args_.out_stride = rows;
  args_.scratch = scratch_.get();
  if (info(type).kind != DTypeClass::real) quantise(table, info(type).kind);
}

void MatmulCase::quantise(const kernels::KernelTable& table, DTypeClass kind) {
  const int64_t k = args_.k, tokens = args_.tokens;
  const int64_t block = kind == DTypeClass::block32 ? 32 : 256;
  const int64_t sums = k / (block == 32 ? 32 : 16);
  q_.resize(static_cast<size_t>(tokens * k));
  d_.resize(static_cast<size_t>(tokens * (k / block)));
  s_.resize(static_cast<size_t>(tokens * sums));
  peak_.resize(d_.size());
  args_.xq = {q_.data(), d_.data(), s_.data(), k, k / block, sums, peak_.data()};
  for (int64_t t = 0; t < tokens; ++t) {
    const kernels::QuantRows row = args_.xq.from(t);
    if (block == 32) {
      table.quantize32(x_.data() + t * k, k, row.q, row.d, row.s);
    } else {
      table.quantize256(x_.data() + t * k, k, row.q, row.d, row.s, row.peak);
    }
  }
}

AttentionCase::AttentionCase(const kernels::KernelTable& table, int64_t context, int64_t tokens)
    : kernel_(table.attention),
      scratch_(make_bytes(kernels::kAttentionScratch)),
      memory_(static_cast<size_t>(2 * context * kHead)),
      queries_(some_floats(tokens * kGroup * kHead)),
      out_(queries_.size()) {
  constexpr int64_t kPage = kernels::kPageTokens;
  const std::vector<float> values = some_floats(2 * context * kHead);
  table.to_half(values.data(), 2 * context * kHead, memory_.data());
  const size_t page_values = static_cast<size_t>(2 * kPage * kHead);
  for (size_t i = 0; i < memory_.size(); i += page_values)
    pages_.push_back(reinterpret_cast<const std::byte*>(&memory_[i]));
  for (int64_t t = 0; t < tokens; ++t)
    positions_.push_back(static_cast<int32_t>(context - tokens + t));
  args_.pages = pages_.data();
  args_.v_offset = static_cast<size_t>(kPage * kHead) * sizeof(uint16_t);
  args_.kv_type = DType::f16;
  args_.head_dim = args_.value_dim = kHead;
  args_.q = queries_.data();
  args_.q_stride = args_.out_stride = kGroup * kHead;
  args_.positions = positions_.data();
  args_.tokens = tokens;
  args_.group = kGroup;
  args_.scale = 0.125f;
  args_.out = out_.data();
  args_.scratch = scratch_.get();
}

RowCase::RowCase(const kernels::KernelTable& table, RowKernel kernel, int64_t n)
    : table_(table),
      kernel_(kernel),
      n_(n),
      x_(some_floats(n)),
      out_(x_),
      d_(static_cast<size_t>(n / 32)),
      q_(static_cast<size_t>(n)),
      s_(static_cast<size_t>(n / 16)),
      peak_(static_cast<size_t>(n / 256)) {}

void RowCase::operator()() {
  switch (kernel_) {
    case RowKernel::rms_norm:
      return table_.rms_norm(x_.data(), nullptr, n_, 1e-5f, out_.data());
    case RowKernel::quantize32:
      return table_.quantize32(x_.data(), n_, q_.data(), d_.data(), s_.data());
    case RowKernel::quantize256:
      return table_.quantize256(x_.data(), n_, q_.data(), d_.data(), s_.data(), peak_.data());
    case RowKernel::silu:
      return table_.activate(kernels::Activation::silu, x_.data(), x_.data(), n_, out_.data());
    case RowKernel::softmax:
      std::copy(x_.begin(), x_.end(), out_.begin());
      return table_.softmax(out_.data(), n_);
  }
}

}  // namespace weir::bench
