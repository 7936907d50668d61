// What the processor can do and what the machine has: instruction sets, cores, caches, memory.
#pragma once

#include <cstdint>
#include <string>

namespace weir {

/// Instruction sets that both the processor and the operating system support.
struct CpuFeatures {
  bool avx2 = false;    // with FMA and F16C
  bool avx512 = false;  // F, BW, DQ, VL
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool neon_dotprod = false;
};
CpuFeatures cpu_features();

struct MachineInfo {
  std::string processor;                              // as the system names it
  int logical_cores = 1;                              // this process may use
  int64_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;  // 0: unknown
  int64_t memory_bytes = 0, memory_available_bytes = 0;
};
MachineInfo machine_info();

/// Data cache nearest to a core, in bytes; 0: unknown.
int64_t first_cache_bytes();

/// Largest resident size of this process so far, in bytes.
int64_t peak_memory_bytes();

}  // namespace weir
