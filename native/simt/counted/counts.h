// What the emulation's kernels have done.
#pragma once

#include <cstdint>

namespace simt {

struct Counts {
  uint64_t blocks, barriers;
  uint64_t products, operations;  // matrix instructions, and their multiplications and additions
  uint64_t of_memory;             // bytes of sectors, each once for reading and once for writing
  uint64_t of_l2;                 // bytes that multiprocessors read and write outside their own cache
  uint64_t of_shared;             // bytes that threads and asynchronous units read and write in shared memory
};

}  // namespace simt
