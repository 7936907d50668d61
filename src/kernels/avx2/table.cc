// The table of this folder: shared bodies on this folder's lanes and its own integer matmuls.
#include "kernels/avx2/kv_dots.h"

#include "kernels/avx2/integer_matmul.h"
#include "kernels/isa_tables.h"
#include "kernels/vec/table.inc"

namespace weir::kernels {
namespace {

/// One token streams, more go through panels.
void integer_matmul(DType type, const MatmulArgs& a) {
  if (a.tokens == 1) return avx2::stream_matmul(type, a);
  avx2::panel_matmul(type, a);
}

}  // namespace

const KernelTable* avx2_table() {
  static const KernelTable table = table_of<integer_matmul>("avx2");
  return &table;
}

}  // namespace weir::kernels
