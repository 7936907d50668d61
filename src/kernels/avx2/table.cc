// The table of this folder: shared bodies on this folder's lanes and its own integer matmuls.
#include "kernels/avx2/vec.h"

#include "kernels/isa_tables.h"
#include "kernels/kernels.h"
#include "kernels/vec/attention.inc"
#include "kernels/vec/elementwise.inc"
#include "kernels/vec/matmul_real.inc"
#include "kernels/vec/probe.inc"

namespace weir::kernels {

const KernelTable* avx2_table() {
  static const KernelTable table = [] {
    KernelTable t = ref_table();
    t.isa = "avx2";
    t.matmul[static_cast<int>(DType::f32)] = matmul_real<RealF32>;
    t.matmul[static_cast<int>(DType::f16)] = matmul_real<RealF16>;
    t.matmul[static_cast<int>(DType::bf16)] = matmul_real<RealBF16>;
    t.quantize32 = quantize32;
    t.quantize256 = quantize256;
    t.attention = attention;
    t.rms_norm = rms_norm;
    t.layer_norm = layer_norm;
    t.rope_adjacent = rope_adjacent;
    t.rope_split = rope_split;
    t.activate = activate;
    t.softcap = softcap;
    t.softmax = softmax;
    t.to_half = to_half;
    t.probe_int8 = probe_int8;
    t.probe_fma = probe_fma;
    t.probe_read = probe_read;
    return t;
  }();
  return &table;
}

}  // namespace weir::kernels
