#include "cli/interrupt.h"

namespace weir {
namespace {

// A signal handler can reach nothing but globals.
std::atomic<bool> was_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_interrupt(int) { was_interrupted.store(true, std::memory_order_relaxed); }

}  // namespace

InterruptGuard::InterruptGuard() {
  reset();
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  // Reads and writes in progress go on: the flag says enough.
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &before_);
}

InterruptGuard::~InterruptGuard() { sigaction(SIGINT, &before_, nullptr); }

bool InterruptGuard::interrupted() const { return was_interrupted; }

void InterruptGuard::reset() { was_interrupted = false; }

std::shared_ptr<const std::atomic<bool>> InterruptGuard::flag() {
  return {&was_interrupted, [](const std::atomic<bool>*) {}};
}

}  // namespace weir
