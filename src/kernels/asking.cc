#include "kernels/asking.h"

#include "base/cpu.h"

namespace weir::kernels {

const bool kAskForFirstCache = first_cache_bytes() > 32 * 1024;

}  // namespace weir::kernels
