// What happens when a mapped file loses bytes under us (truncated, or on a disk that was pulled):
// the system sends SIGBUS, which by default ends the process. With the guard in place the missing
// part reads as zeros and the mapping is marked, so that its user can fail with a sentence. Owns
// the list of mappings and the signal handler; refuses to decide what a loss means.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weir {

/// Takes over SIGBUS for the whole process, once; for programs, at their start. Faults outside the
/// guarded mappings go to the handler that was there before.
void install_mapping_guard();

/// Marks [data, data + size) as a mapping that may lose bytes, for the life of the object. Beyond
/// kMaxGuarded at a time, mappings stay unguarded.
class GuardedMapping {
 public:
  static constexpr int kMaxGuarded = 1024;

  GuardedMapping(const void* data, size_t size);
  ~GuardedMapping();
  GuardedMapping(const GuardedMapping&) = delete;
  GuardedMapping& operator=(const GuardedMapping&) = delete;

  /// True once a read met missing bytes; what was read since then may be zeros.
  bool lost() const;

 private:
  int slot_ = -1;
};

}  // namespace weir
