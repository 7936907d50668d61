// Matmul of the quantised types for any number of tokens; defined in panel_matmul.cc.
#pragma once

#include "kernels/kernels.h"

namespace weir::kernels::neon {

void panel_matmul(DType type, const MatmulArgs& a);

}  // namespace weir::kernels::neon
