// The table of this folder: shared bodies on this folder's lanes and its own integer matmuls.
#include "kernels/neon/kv_dots.h"

#include "kernels/isa_tables.h"
#include "kernels/neon/integer_matmul.h"
#include "kernels/vec/table.inc"

namespace weir::kernels {
namespace {

/// A few tokens stream, more go through panels.
void integer_matmul(DType type, const MatmulArgs& a) {
  if (neon::stream_matmul(type, a)) return;
  neon::panel_matmul(type, a);
}

}  // namespace

const KernelTable* neon_table() {
  static const KernelTable table = table_of<integer_matmul>("neon");
  return &table;
}

}  // namespace weir::kernels
