// What kernels do, counted instead of computed, for docs/kernels-cuda-counted.md: the emulation that is built with
// PANAMOE_SIMT_COUNTED. There tensor cores and asynchronous copies only count, so that large sizes take seconds; all
// else runs, so that threads take the same way. Test only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace simt {

class Block;

#ifdef MOE_SIMT_COUNTED
constexpr bool kCounted = true;
#else
constexpr bool kCounted = false;
#endif

// Called where `kCounted`. A block starts; its threads have met at a barrier.
void count_block(const Block& block);
void count_barrier();
// A matrix instruction of rows x columns x 16 and the bytes of shared memory that one warp of it reads. Called by every
// warp that executes a part; `first` is set for one of them.
void count_product(int rows, int columns, bool first, size_t shared_bytes);
// Bytes that bypass a multiprocessor's cache on their way from the GPU's memory.
void count_copied(const void* memory, size_t bytes);
void count_shared(size_t bytes);
// Work of a stream that writes memory, and reads `from` if it is not null.
void count_moved(const void* to, const void* from, size_t bytes);
// The GPU has this memory from now on; with 0 bytes, no longer.
void count_memory(const void* memory, size_t bytes);

}  // namespace simt
