// Stands in for the NEON table on other processors.
#include "kernels/isa_tables.h"

namespace weir::kernels {
const KernelTable* neon_table() { return nullptr; }
}  // namespace weir::kernels
