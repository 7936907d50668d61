// Where lines of weights that are asked for ahead of their use should go, on this machine.
#pragma once

namespace weir::kernels {

/// True: into the first cache. False: into the second one only. A processor that asks for the first
/// one has as many requests under way as the first cache allows, and with two threads that was half
/// of what memory gives on a Zen 4 (one token of Q4_K, Q6_K, Q8_0: 15 to 18 of 29 GB/s), whereas a
/// Zen 5 is faster so (a token takes 2 % less, eight tokens up to a tenth). They are told apart by
/// the size of the first cache, 32 and 48 KiB.
extern const bool kAskForFirstCache;

}  // namespace weir::kernels
