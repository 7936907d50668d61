// Writes keys and values of one token to its place in the pages of its sequence, as the type of the
// cache says. Owns how a Q4_0 key is kept; refuses what comes before (norms, rotations) and
// threads.
#pragma once

#include <cstdint>

#include "device/kv_view.h"
#include "kernels/kernels.h"

namespace weir {

/// Keys k {kv_heads, key_dim} and values v {kv_heads, value_dim} of the token at `position`, of
/// layer `layer`. Of Q4_0 keys only those of a page's first token; the others are left to
/// write_key4, for when that one is there.
void write_token(const kernels::KernelTable& table, const KvView& kv, int64_t layer,
                 int64_t position, const float* k, const float* v);

/// The Q4_0 keys of a token that is not the first of its page, which has been written.
void write_key4(const kernels::KernelTable& table, const KvView& kv, int64_t layer,
                int64_t position, const float* k);

}  // namespace weir
