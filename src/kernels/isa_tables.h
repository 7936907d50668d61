// The tables of the ISA folders; null where a folder is not compiled for this processor family.
// The priority (best first) and the conditions stand in dispatch.cc.
#pragma once

#include <cstdint>

namespace weir::kernels {

struct KernelTable;
struct MatmulArgs;
const KernelTable* avx512_table();
const KernelTable* avx2_table();
const KernelTable* neon_table();

/// Kernels of the option "bf16-dot" for processors with AVX512_BF16; null where not compiled.
struct Bf16Dot {
  void (*f16)(const MatmulArgs&);
  void (*bf16)(const MatmulArgs&);
  int64_t (*probe)(int64_t rounds);
};
const Bf16Dot* avx512_bf16_dot();

}  // namespace weir::kernels
