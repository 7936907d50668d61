// Counts the allocations of this test program.
#pragma once

#include <cstddef>

namespace weir::test {

/// How often operator new was called so far.
size_t allocation_count();

}  // namespace weir::test
