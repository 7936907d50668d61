// Stands in for the x86 tables on other processors.
#include "kernels/isa_tables.h"

namespace weir::kernels {
const KernelTable* avx512_table() { return nullptr; }
const KernelTable* avx2_table() { return nullptr; }
const Bf16Dot* avx512_bf16_dot() { return nullptr; }
}  // namespace weir::kernels
