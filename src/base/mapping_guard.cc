// Everything the handler touches is lock-free; it only calls mmap and sigaction.
#include "base/mapping_guard.h"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <mutex>

namespace weir {
namespace {

constexpr uintptr_t kPage = 4096;

struct Slot {
  std::atomic<uintptr_t> begin{0};  // 0: free; set last
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> lost{false};
};
std::array<Slot, GuardedMapping::kMaxGuarded> slots;
static_assert(std::atomic<uintptr_t>::is_always_lock_free);

std::mutex slots_mutex;  // for taking and giving back, never in the handler
struct sigaction previous {};

/// Replaces the rest of the mapping from the fault on by zeros. True if the fault lies in one.
bool replace_lost(uintptr_t fault) {
  for (Slot& slot : slots) {
    const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    const uintptr_t end = slot.end.load(std::memory_order_acquire);
    if (begin == 0 || fault < begin || fault >= end) continue;
    const uintptr_t page = fault / kPage * kPage;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the address comes from the system as a number.
    void* const at = ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return false;
    slot.lost.store(true, std::memory_order_release);
    return true;
  }
  return false;
}

void on_bus_error(int, siginfo_t* info, void*) {
  const bool sent = info->si_code <= 0;  // by a process, not by a fault
  if (!sent && replace_lost(reinterpret_cast<uintptr_t>(info->si_addr))) return;
  // The old handler takes it when this one has returned: a fault comes again by itself.
  ::sigaction(SIGBUS, &previous, nullptr);
  if (sent) ::raise(SIGBUS);
}

}  // namespace

void install_mapping_guard() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &previous);
  });
}

GuardedMapping::GuardedMapping(const void* data, size_t size) {
  if (size == 0) return;
  const auto first = reinterpret_cast<uintptr_t>(data);
  const std::lock_guard lock(slots_mutex);
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].begin.load(std::memory_order_relaxed) != 0) continue;
    slots[i].lost.store(false, std::memory_order_relaxed);
    slots[i].end.store((first + size + kPage - 1) / kPage * kPage, std::memory_order_relaxed);
    slots[i].begin.store(first, std::memory_order_release);
    slot_ = static_cast<int>(i);
    return;
  }
}

GuardedMapping::~GuardedMapping() {
  if (slot_ < 0) return;
  const std::lock_guard lock(slots_mutex);
  slots[static_cast<size_t>(slot_)].begin.store(0, std::memory_order_release);
}

bool GuardedMapping::lost() const {
  return slot_ >= 0 && slots[static_cast<size_t>(slot_)].lost.load(std::memory_order_acquire);
}

}  // namespace weir
