// The table of plain kernels.
#include "kernels/ref/ref.h"

namespace weir::kernels {

const KernelTable& ref_table() {
  static const KernelTable table = [] {
    KernelTable t{};
    const auto set = [&t](DType type, void (*fn)(const MatmulArgs&)) {
      t.matmul[static_cast<size_t>(type)] = fn;
    };
    set(DType::f32, ref::matmul<DType::f32>);
    set(DType::f16, ref::matmul<DType::f16>);
    set(DType::bf16, ref::matmul<DType::bf16>);
    set(DType::q4_0, ref::matmul<DType::q4_0>);
    set(DType::q4_1, ref::matmul<DType::q4_1>);
    set(DType::q5_0, ref::matmul<DType::q5_0>);
    set(DType::q5_1, ref::matmul<DType::q5_1>);
    set(DType::q8_0, ref::matmul<DType::q8_0>);
    set(DType::q2_k, ref::matmul<DType::q2_k>);
    set(DType::q3_k, ref::matmul<DType::q3_k>);
    set(DType::q4_k, ref::matmul<DType::q4_k>);
    set(DType::q5_k, ref::matmul<DType::q5_k>);
    set(DType::q6_k, ref::matmul<DType::q6_k>);
    set(DType::iq4_nl, ref::matmul<DType::iq4_nl>);
    set(DType::iq4_xs, ref::matmul<DType::iq4_xs>);
    t.isa = "scalar";
    t.quantize32 = ref::quantize32;
    t.quantize256 = ref::quantize256;
    t.quantize4 = ref::quantize4;
    t.hadamard = ref::hadamard;
    t.attention = ref::attention;
    t.merge_attention = ref::merge_attention;
    t.rms_norm = ref::rms_norm;
    t.layer_norm = ref::layer_norm;
    t.rope_adjacent = ref::rope_adjacent;
    t.rope_split = ref::rope_split;
    t.activate = ref::activate;
    t.softcap = ref::softcap;
    t.softmax = ref::softmax;
    t.to_half = ref::to_half;
    t.probe_int8 = ref::probe_int8;
    t.probe_fma = ref::probe_fma;
    t.probe_read = ref::probe_read;
    return t;
  }();
  return table;
}

}  // namespace weir::kernels
