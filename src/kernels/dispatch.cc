// Chooses the kernel table: the best one this processor can run, or the one WEIR_ISA names. The
// only place that reads WEIR_ISA.
#include <array>
#include <cstdlib>
#include <string>

#include "base/cpu.h"
#include "base/error.h"
#include "kernels/isa_tables.h"
#include "kernels/kernels.h"

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

}  // namespace weir::kernels
