// What the sources need to know of the processor: the instructions that it has, and the sizes of its caches.
#pragma once

#include <cstdint>

namespace moe::cpu {

// Highway's bits of the targets that the processor and its system offer, of those that the library is compiled for.
int64_t processor_targets();

// Instructions that the sources use without Highway. Where a processor may have one encoding of an instruction and lack
// another, each is a name of its own: a target's code asks for the one that it is compiled with
// (simd/instructions-inl.h).
enum class Instruction : unsigned {
  kNone = 0,           // which no processor has
  kByteDot256 = 1,     // vpdpbusd encoded by VEX, in vectors of AVX2: AVX-VNNI
  kByteDot512 = 2,     // vpdpbusd encoded by EVEX, in vectors of AVX-512: AVX-512 VNNI
  kBfloat16Tiles = 4,  // tdpbf16ps, and what loads and stores tiles: Intel AMX
  kInt8Tiles = 8,      // tdpbsud, the same
  kX86Level3 = 16,     // all of x86-64-v3, for which the emulation of CUDA is compiled
};

// True if the processor has the instruction, and its system lets this process use it.
bool has(Instruction instruction);

// Sizes of a core's L1 data cache and its L2 cache, in bytes. Where the system does not say: 32 KiB, and 512 KiB.
int64_t l1_bytes();
int64_t l2_bytes();

}  // namespace moe::cpu
