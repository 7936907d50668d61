// Counts what this thread has on the heap. Linking this in replaces the global operator new.
#pragma once

#include <cstddef>

namespace weir::test {

size_t live_bytes();
/// Largest live_bytes() since the last reset.
size_t peak_bytes();
void reset_peak();

}  // namespace weir::test
