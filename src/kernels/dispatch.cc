// Chooses the kernel table: the best one this processor can run, or the one WEIR_ISA names. The
// only place that reads WEIR_ISA.
#include <array>
#include <cstdlib>
#include <string>

#include "base/cpu.h"
#include "base/error.h"
#include "kernels/isa_tables.h"
#include "kernels/kernels.h"
#include "kernels/ref/ref.h"

namespace weir::kernels {
namespace {

struct Available {
  std::array<const KernelTable*, 8> list{};
  size_t count = 0;
  void add(const KernelTable* table) {
    if (table != nullptr) list[count++] = table;
  }
};

const Available& available() {
  static const Available result = [] {
    Available a;
    const CpuFeatures cpu = cpu_features();
    if (cpu.avx512 && cpu.avx512_vnni) a.add(avx512_table());
    if (cpu.avx2) a.add(avx2_table());
    if (cpu.neon_dotprod) a.add(neon_table());
    a.add(&ref_table());
    return a;
  }();
  return result;
}

/// `base` with other matmuls of F16 and BF16.
KernelTable with_bf16_dot(const KernelTable& base, const char* isa, const Bf16Dot& kernels) {
  KernelTable table = base;
  table.isa = isa;
  table.matmul[static_cast<size_t>(DType::f16)] = kernels.f16;
  table.matmul[static_cast<size_t>(DType::bf16)] = kernels.bf16;
  table.probe_bf16 = kernels.probe;
  return table;
}

}  // namespace

TableList tables() {
  const Available& a = available();
  return {a.list.data(), a.list.data() + a.count};
}

const KernelTable& active_table() {
  static const KernelTable* const chosen = [] {
    const char* forced = std::getenv("WEIR_ISA");
    if (forced == nullptr || *forced == '\0') return *tables().begin();
    std::string names;
    for (const KernelTable* table : tables()) {
      if (std::string(forced) == table->isa) return table;
      names += names.empty() ? table->isa : std::string(", ") + table->isa;
    }
    fail(Code::invalid_argument, "WEIR_ISA={} cannot run here; this machine can run: {}", forced,
         names);
  }();
  return *chosen;
}

const KernelTable* bf16_dot_table_of(const KernelTable& base) {
  if (&base == &ref_table()) {
    static const KernelTable plain = with_bf16_dot(
        ref_table(), "scalar+bf16-dot",
        {ref::matmul_bf16_dot<DType::f16>, ref::matmul_bf16_dot<DType::bf16>, nullptr});
    return &plain;
  }
  const Bf16Dot* const fast = avx512_bf16_dot();
  if (fast == nullptr || &base != avx512_table() || !cpu_features().avx512_bf16) return nullptr;
  static const KernelTable table = with_bf16_dot(base, "avx512+bf16-dot", *fast);
  return &table;
}

const KernelTable& bf16_dot_table() {
  const KernelTable* const table = bf16_dot_table_of(active_table());
  if (table == nullptr)
    fail(Code::unsupported,
         "numerics bf16-dot needs a processor with AVX512_BF16 and the instruction set avx512 "
         "(here: {}); leave it out, or force scalar to see the same answers slowly",
         active_table().isa);
  return *table;
}

}  // namespace weir::kernels
