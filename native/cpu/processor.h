// What kernels need to know of the processor besides its vector instructions. Each answer was measured on the
// processors it names; for others it is a guess.
#pragma once

#include <cstdint>

namespace moe::cpu {

// Sizes of a core's L1 data cache and its L2 cache, in bytes. Where the system does not say: 32 KiB, and 512 KiB.
int64_t l1_bytes();
int64_t l2_bytes();

// True if the processor has tiles for bfloat16 (Intel AMX) and the system lets this process use them.
bool has_tile_unit();

// The same for int8.
bool has_int8_tile_unit();

// True if the processor sums four products of bytes at once (vpdpbusd) in vectors of AVX-512, or else of AVX2.
bool has_byte_dot();

}  // namespace moe::cpu
