// The table of this folder: shared bodies on this folder's lanes and its own integer matmuls.
#include "kernels/avx512/kv_dots.h"

#include "kernels/avx512/integer_matmul.h"
#include "kernels/isa_tables.h"
#include "kernels/vec/table.inc"

namespace weir::kernels {
namespace {

/// A few tokens stream, if their type has a stream for as many; more go through panels.
void integer_matmul(DType type, const MatmulArgs& a) {
  if (a.tokens == 1 && (avx512::stream_block32(type, a) || avx512::stream_block256(type, a)))
    return;
  if (avx512::few_block32(type, a) || avx512::few_block256(type, a)) return;
  avx512::panel_matmul(type, a);
}

}  // namespace

const KernelTable* avx512_table() {
  static const KernelTable table = table_of<integer_matmul>("avx512");
  return &table;
}

}  // namespace weir::kernels
