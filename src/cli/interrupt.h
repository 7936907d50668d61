// Ctrl-C as a request to stop what runs now, not the program.
#pragma once

#include <signal.h>

#include <atomic>
#include <memory>

namespace weir {

/// While it lives, SIGINT sets a flag instead of ending the program. One at a time; made and
/// destroyed on the main thread.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool interrupted() const;
  /// Forgets an interrupt that came before.
  void reset();

  /// The flag, for whoever watches it; it lives as long as the program.
  static std::shared_ptr<const std::atomic<bool>> flag();

 private:
  struct sigaction before_;
};

}  // namespace weir
