#include "tensor/dtype.h"

#include <array>
#include <cctype>

#include "base/checked.h"
#include "base/error.h"

namespace weir {
namespace {

constexpr std::array<DTypeInfo, kDTypeCount> kTable = {{
    {DType::f32, "F32", 1, 4, DTypeClass::real},
    {DType::f16, "F16", 1, 2, DTypeClass::real},
    {DType::bf16, "BF16", 1, 2, DTypeClass::real},
    {DType::q4_0, "Q4_0", 32, 18, DTypeClass::block32},
    {DType::q4_1, "Q4_1", 32, 20, DTypeClass::block32},
    {DType::q5_0, "Q5_0", 32, 22, DTypeClass::block32},
    {DType::q5_1, "Q5_1", 32, 24, DTypeClass::block32},
    {DType::q8_0, "Q8_0", 32, 34, DTypeClass::block32},
    {DType::q2_k, "Q2_K", 256, 84, DTypeClass::block256},
    {DType::q3_k, "Q3_K", 256, 110, DTypeClass::block256},
    {DType::q4_k, "Q4_K", 256, 144, DTypeClass::block256},
    {DType::q5_k, "Q5_K", 256, 176, DTypeClass::block256},
    {DType::q6_k, "Q6_K", 256, 210, DTypeClass::block256},
    {DType::iq4_nl, "IQ4_NL", 32, 18, DTypeClass::block32},
    {DType::iq4_xs, "IQ4_XS", 256, 136, DTypeClass::block256},
    {DType::i8, "I8", 1, 1, DTypeClass::other},
    {DType::i16, "I16", 1, 2, DTypeClass::other},
    {DType::i32, "I32", 1, 4, DTypeClass::other},
    {DType::i64, "I64", 1, 8, DTypeClass::other},
    {DType::f64, "F64", 1, 8, DTypeClass::other},
}};

}  // namespace

const DTypeInfo& info(DType type) { return kTable.at(static_cast<size_t>(type)); }

std::span<const DTypeInfo> all_dtypes() { return kTable; }

std::optional<DType> dtype_by_name(std::string_view name) {
  for (const DTypeInfo& row : kTable) {
    if (row.name.size() != name.size()) continue;
    bool same = true;
    for (size_t i = 0; i < name.size(); ++i)
      same = same && std::toupper(static_cast<unsigned char>(name[i])) == row.name[i];
    if (same) return row.type;
  }
  return std::nullopt;
}

int64_t bytes_of(DType type, int64_t elements) {
  const DTypeInfo& row = info(type);
  WEIR_CHECK(elements >= 0 && elements % row.block_elements == 0, "{} values of {} (block of {})",
             elements, row.name, row.block_elements);
  const auto bytes = checked_mul<int64_t>(elements / row.block_elements, row.block_bytes);
  if (!bytes)
    fail(Code::limit_exceeded, "{} values of {} overflow the address space", elements, row.name);
  return *bytes;
}

}  // namespace weir
