// The tables of the ISA folders; null where a folder is not compiled for this processor family.
// The priority (best first) and the conditions stand in dispatch.cc.
#pragma once

namespace weir::kernels {

struct KernelTable;
const KernelTable* avx512_table();
const KernelTable* avx2_table();
const KernelTable* neon_table();

}  // namespace weir::kernels
