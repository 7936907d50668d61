#include "base/cpu.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

namespace weir {

CpuFeatures cpu_features() {
  CpuFeatures f;
#if defined(__x86_64__)
  // The compiler's run-time check asks XGETBV too, so registers the system does not save count out.
  __builtin_cpu_init();
  // clang 14 has no name for F16C there.
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
  f.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c;
  f.avx512 = f.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  f.avx512_vnni = f.avx512 && __builtin_cpu_supports("avx512vnni");
  f.avx512_bf16 = f.avx512 && __builtin_cpu_supports("avx512bf16");
#elif defined(__aarch64__)
  f.neon_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
  return f;
}

namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

int64_t meminfo(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  for (std::string name; file >> name;) {
    int64_t kib = 0;
    if (name == key && file >> kib) return kib * 1024;
    std::getline(file, name);
  }
  return 0;
}

/// The first core's data cache of a level, as the system describes it; 0: it does not.
int64_t described_cache(int level) {
  const std::string caches = "/sys/devices/system/cpu/cpu0/cache/index";
  for (int i = 0; i < 8; ++i) {
    const std::string cache = caches + std::to_string(i);
    std::ifstream level_file(cache + "/level"), type_file(cache + "/type");
    std::ifstream size_file(cache + "/size");
    int found = 0;
    std::string type;
    int64_t kib = 0;
    if (!(level_file >> found) || !(type_file >> type)) return 0;
    if (found == level && type != "Instruction" && size_file >> kib) return kib * 1024;
  }
  return 0;
}

/// The same as the C library knows it from the processor. In a virtual machine that may be the
/// third cache of the whole host.
int64_t known_cache(int name) { return std::max<int64_t>(sysconf(name), 0); }

}  // namespace

int64_t first_cache_bytes() {
  const int64_t known = known_cache(_SC_LEVEL1_DCACHE_SIZE);  // reads no files
  return known > 0 ? known : described_cache(1);
}

MachineInfo machine_info() {
  MachineInfo m;
  m.processor = processor_name();
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
    m.logical_cores = CPU_COUNT(&set);
  m.l1d_bytes = first_cache_bytes();
  const int64_t second = described_cache(2), third = described_cache(3);
  m.l2_bytes = second > 0 ? second : known_cache(_SC_LEVEL2_CACHE_SIZE);
  m.l3_bytes = third > 0 ? third : known_cache(_SC_LEVEL3_CACHE_SIZE);
  m.memory_bytes = meminfo("MemTotal:");
  m.memory_available_bytes = meminfo("MemAvailable:");
  return m;
}

int64_t peak_memory_bytes() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace weir
