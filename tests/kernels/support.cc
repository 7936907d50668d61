#include "kernels/support.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"

#include "tensor/blocks.h"

namespace weir::test {
namespace {

/// Offsets of the binary16 scales inside a block.
std::vector<size_t> scale_offsets(DType type) {
  switch (type) {
    case DType::q4_1:
    case DType::q5_1:
    case DType::q4_k:
    case DType::q5_k:
      return {0, 2};
    case DType::q2_k:
      return {80, 82};
    case DType::q3_k:
      return {108};
    case DType::q6_k:
      return {208};
    default:
      return {0};
  }
}

}  // namespace

Buffer random_weights(std::mt19937& rng, DType type, int64_t rows, int64_t k, bool wild) {
  const DTypeInfo& row = info(type);
  Buffer weights(static_cast<size_t>(bytes_of(type, rows * k)));
  auto* bytes = reinterpret_cast<uint8_t*>(weights.data());
  std::uniform_int_distribution<int> byte(0, 255);
  for (size_t i = 0; i < weights.size(); ++i) bytes[i] = static_cast<uint8_t>(byte(rng));
  if (wild) return weights;
  std::normal_distribution<float> normal(0.0f, 0.02f);
  const auto put = [&](size_t at, auto value) { std::memcpy(bytes + at, &value, sizeof value); };
  if (row.kind == DTypeClass::real) {
    for (int64_t i = 0; i < rows * k; ++i) {
      const auto at = static_cast<size_t>(i * row.block_bytes);
      const float value = normal(rng);
      if (type == DType::f32) put(at, value);
      if (type == DType::f16) put(at, float_to_half(value));
      if (type == DType::bf16) put(at, float_to_bfloat(value));
    }
    return weights;
  }
  for (size_t at = 0; at < weights.size(); at += static_cast<size_t>(row.block_bytes))
    for (const size_t offset : scale_offsets(type))
      put(at + offset, float_to_half(normal(rng) / 16.0f));
  return weights;
}

GuardedCopy::GuardedCopy(const Buffer& bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t room = (bytes.size() + page - 1) / page * page;
  mapped_ = room + page;
  mapping_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  WEIR_CHECK(mapping_ != MAP_FAILED);
  auto* begin = static_cast<std::byte*>(mapping_);
  WEIR_CHECK(mprotect(begin + room, page, PROT_NONE) == 0);
  data_ = begin + room - bytes.size();
  std::memcpy(data_, bytes.data(), bytes.size());
}

GuardedCopy::~GuardedCopy() { munmap(mapping_, mapped_); }

Activations::Activations(std::vector<float> x, int64_t tokens, int64_t k, DTypeClass kind)
    : x_(std::move(x)), tokens_(tokens), k_(k) {
  if (kind == DTypeClass::real) return;
  const int64_t block = kind == DTypeClass::block32 ? 32 : 256;
  const int64_t run = kind == DTypeClass::block32 ? 32 : 16;
  rows_ = {nullptr, nullptr, nullptr, k, k / block, k / run, nullptr};
  q_.resize(static_cast<size_t>(tokens * rows_.q_stride));
  d_.resize(static_cast<size_t>(tokens * rows_.d_stride));
  s_.resize(static_cast<size_t>(tokens * rows_.s_stride));
  rows_.q = q_.data();
  rows_.d = d_.data();
  rows_.s = s_.data();
  peak_.resize(d_.size());
  rows_.peak = peak_.data();
  for (int64_t t = 0; t < tokens; ++t) {
    const kernels::QuantRows row = rows_.from(t);
    if (kind == DTypeClass::block32) {
      kernels::ref_table().quantize32(x_.data() + t * k, k, row.q, row.d, row.s);
    } else {
      kernels::ref_table().quantize256(x_.data() + t * k, k, row.q, row.d, row.s, row.peak);
    }
  }
}

void Activations::bind(kernels::MatmulArgs& args) {
  args.tokens = tokens_;
  args.k = k_;
  args.x = x_.data();
  args.x_stride = k_;
  args.xq = rows_;
}

std::vector<float> multiply(const kernels::KernelTable& table, DType type, const Buffer& w,
                            int64_t rows, int64_t k, kernels::MatmulArgs args) {
  Buffer scratch(kernels::kMatmulScratch);
  const int64_t stride = rows + 3;
  std::vector<float> out(static_cast<size_t>(args.tokens * stride), -77.0f);
  const GuardedCopy weights(w);
  args.k = k;
  args.w = weights.data();
  args.row_bytes = static_cast<size_t>(bytes_of(type, k));
  args.rows = rows;
  args.out = out.data();
  args.out_stride = stride;
  args.scratch = scratch.data();
  table.matmul[static_cast<size_t>(type)](args);
  return out;
}

}  // namespace weir::test
