// Construction of the CPU device.
#include "device/cpu/cpu_device.h"

#include "base/cpu.h"

namespace weir {

CpuDevice::CpuDevice(int threads, const kernels::KernelTable* table)
    : pool_(threads == 0 ? std::min(machine_info().logical_cores, ThreadPool::kMaxThreads)
                         : threads),
      split_(pool_.size()),
      table_(table != nullptr ? *table : kernels::active_table()),
      scratch_(static_cast<size_t>(pool_.size()) * kScratchBytes),
      states_(kStateBytes) {}

}  // namespace weir
