// The table of this folder: shared bodies on this folder's lanes and its own integer matmuls.
#include "kernels/avx2/kv_dots.h"

#include "kernels/avx2/integer_matmul.h"
#include "kernels/isa_tables.h"
#include "kernels/vec/table.inc"

namespace weir::kernels {
namespace {

/// A few tokens stream, more go through panels.
void integer_matmul(DType type, const MatmulArgs& a) {
  if (avx2::stream_matmul(type, a)) return;
  avx2::panel_matmul(type, a);
}

}  // namespace

const KernelTable* avx2_table() {
  static const KernelTable table = table_of<integer_matmul>("avx2");
  return &table;
}

}  // namespace weir::kernels
