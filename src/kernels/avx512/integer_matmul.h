// Matmul of the quantised types, by type; defined in panel_matmul.cc and stream_block*.cc.
#pragma once

#include "kernels/kernels.h"

namespace weir::kernels::avx512 {

/// Any number of tokens, any quantised type: panels of unpacked rows against tiles of tokens.
void panel_matmul(DType type, const MatmulArgs& a);

/// One token: streams the blocks as they lie in the file.
void stream_q4_0(const MatmulArgs& a);
void stream_q4_1(const MatmulArgs& a);
void stream_q5_0(const MatmulArgs& a);
void stream_q5_1(const MatmulArgs& a);
void stream_q8_0(const MatmulArgs& a);
void stream_iq4_nl(const MatmulArgs& a);
void stream_q4_k(const MatmulArgs& a);
void stream_q5_k(const MatmulArgs& a);
void stream_q6_k(const MatmulArgs& a);

}  // namespace weir::kernels::avx512
