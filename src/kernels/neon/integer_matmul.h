// Matmul of the quantised types, by type; defined in panel_matmul.cc and stream.cc.
#pragma once

#include "kernels/kernels.h"

namespace weir::kernels::neon {

/// Any number of tokens, any quantised type: panels of unpacked rows against tiles of tokens.
void panel_matmul(DType type, const MatmulArgs& a);

/// A few tokens, any quantised type: streams the blocks as they lie in the file. False, and nothing
/// done, for more tokens.
bool stream_matmul(DType type, const MatmulArgs& a);

}  // namespace weir::kernels::neon
