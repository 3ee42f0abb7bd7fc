// Counts the process's calls of malloc, and of the library under test.
#pragma once

#include <cstdint>

namespace moe::testing {

// Whether allocations are counted: sanitizers have a malloc of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kCountsAllocations = false;
#else
inline constexpr bool kCountsAllocations = true;
#endif

// Calls by all threads so far.
int64_t allocations();

}  // namespace moe::testing
