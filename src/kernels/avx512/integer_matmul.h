// Matmul of the quantised types, by type; defined in panel_matmul.cc, stream_block*.cc and
// few_block*.cc.
#pragma once

#include "kernels/kernels.h"

namespace weir::kernels::avx512 {

/// Any number of tokens, any quantised type: panels of unpacked rows against tiles of tokens.
void panel_matmul(DType type, const MatmulArgs& a);

/// One token: streams the blocks as they lie in the file. False, and nothing done, for a type that
/// has no stream there.
bool stream_block32(DType type, const MatmulArgs& a);
bool stream_block256(DType type, const MatmulArgs& a);

/// Two to four tokens, or (blocks of 256) to eight: the same, for as many at once. False, and
/// nothing done, for other numbers of tokens and types that are not made for it.
bool few_block32(DType type, const MatmulArgs& a);
bool few_block256(DType type, const MatmulArgs& a);

/// Their forms for these types and two to four tokens.
bool few_q8_0(const MatmulArgs& a);
bool few_q6_k(const MatmulArgs& a);

}  // namespace weir::kernels::avx512
