// The table of this folder: shared bodies on this folder's lanes and its own integer matmuls.
#include "kernels/neon/vec.h"

#include "kernels/isa_tables.h"
#include "kernels/kernels.h"
#include "kernels/neon/panel_matmul.h"
#include "kernels/vec/attention.inc"
#include "kernels/vec/elementwise.inc"
#include "kernels/vec/matmul_real.inc"
#include "kernels/vec/probe.inc"

namespace weir::kernels {
namespace {

/// Any number of tokens goes through panels.
template <DType type>
void integer_matmul(const MatmulArgs& a) {
  neon::panel_matmul(type, a);
}

}  // namespace

const KernelTable* neon_table() {
  static const KernelTable table = [] {
    KernelTable t = ref_table();
    t.isa = "neon";
    t.matmul[static_cast<int>(DType::f32)] = matmul_real<RealF32>;
    t.matmul[static_cast<int>(DType::f16)] = matmul_real<RealF16>;
    t.matmul[static_cast<int>(DType::bf16)] = matmul_real<RealBF16>;
    t.matmul[static_cast<int>(DType::q4_0)] = integer_matmul<DType::q4_0>;
    t.matmul[static_cast<int>(DType::q4_1)] = integer_matmul<DType::q4_1>;
    t.matmul[static_cast<int>(DType::q5_0)] = integer_matmul<DType::q5_0>;
    t.matmul[static_cast<int>(DType::q5_1)] = integer_matmul<DType::q5_1>;
    t.matmul[static_cast<int>(DType::q8_0)] = integer_matmul<DType::q8_0>;
    t.matmul[static_cast<int>(DType::iq4_nl)] = integer_matmul<DType::iq4_nl>;
    t.matmul[static_cast<int>(DType::q2_k)] = integer_matmul<DType::q2_k>;
    t.matmul[static_cast<int>(DType::q3_k)] = integer_matmul<DType::q3_k>;
    t.matmul[static_cast<int>(DType::q4_k)] = integer_matmul<DType::q4_k>;
    t.matmul[static_cast<int>(DType::q5_k)] = integer_matmul<DType::q5_k>;
    t.matmul[static_cast<int>(DType::q6_k)] = integer_matmul<DType::q6_k>;
    t.matmul[static_cast<int>(DType::iq4_xs)] = integer_matmul<DType::iq4_xs>;
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
