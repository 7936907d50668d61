// CPU time of the calling thread, and how strictly promises about time are tested.
//
// On a shared machine the same instructions take several times longer now and then, CPU time too. A
// normal run therefore only tells the promised order of growth from a worse one; WEIR_LONG_TESTS=1,
// on a quiet machine, holds the figures themselves.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdlib>

namespace weir::test {

inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline bool long_tests() { return std::getenv("WEIR_LONG_TESTS") != nullptr; }

/// The seconds to allow for work promised within `seconds`: twenty times as many in a normal run.
inline double allowed_seconds(double seconds) { return long_tests() ? seconds : 20 * seconds; }

/// The ratio of times to allow when a size grows by `factor` and the time may grow as much and 30 %
/// more: in a normal run four times the factor, so keep `factor` above 4 (n squared is its square).
inline double allowed_ratio(double factor) { return long_tests() ? 1.3 * factor : 4 * factor; }

/// The least CPU seconds of `runs` runs of `work`.
template <typename Work>
double least_seconds(int runs, Work&& work) {
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const double start = thread_seconds();
    work();
    best = std::min(best, thread_seconds() - start);
  }
  return best;
}

}  // namespace weir::test
