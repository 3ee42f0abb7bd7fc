// What the kernels ask of a processor beyond its vector instructions.
#pragma once

#include <cstdint>

namespace moe::cpu {

// Sizes of a core's L1 data cache and its L2 cache, in bytes. Where the system does not say: 32 KiB, and 512 KiB.
int64_t l1_bytes();
int64_t l2_bytes();

// Whether there is a tile unit for bfloat16 (Intel AMX) that the system lets this process use.
bool has_tile_unit();

}  // namespace moe::cpu
