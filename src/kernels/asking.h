// Where lines of weights that are asked for ahead of their use should go, on this machine.
#pragma once

namespace weir::kernels {

/// True: into the first cache. False: into the second one only. On a Zen 4 asking for the first one
/// halves what two threads read (one token of Q4_K, Q6_K, Q8_0: 15 to 18 of 29 GB/s), on a Zen 5
/// a token takes 2 % less so, and eight tokens up to a tenth. They are told apart by the size of
/// the first cache, 32 and 48 KiB; other processors were not measured.
extern const bool kAskForFirstCache;

}  // namespace weir::kernels
