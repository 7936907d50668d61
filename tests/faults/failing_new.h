// Allocations of this program that fail on purpose: operator new is replaced for the whole program.
// malloc() of C libraries is not counted.
#pragma once

#include <cstdint>

namespace weir::test {

/// From now on the `n`-th allocation (from 1) of a thread that is not exempt throws std::bad_alloc,
/// and the `burst` - 1 after it.
void fail_allocation(int64_t n, int64_t burst = 1);

/// No more failures. True if one happened.
bool stop_failing();

/// Allocations counted since fail_allocation().
int64_t allocations();

/// While it lives, allocations of this thread are neither counted nor failed: those of the test.
class Exempt {
 public:
  Exempt();
  ~Exempt();
  Exempt(const Exempt&) = delete;
  Exempt& operator=(const Exempt&) = delete;
};

}  // namespace weir::test
