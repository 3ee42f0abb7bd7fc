// The processor: its instructions and cache sizes.
#pragma once

#include <cstdint>

namespace moe::cpu {

// Highway's bits of the compiled targets that the processor and the operating system support.
int64_t processor_targets();

// Instructions that the sources use without Highway. Two encodings that a processor may have one by one are two names:
// each target's code asks for its own (simd/instructions-inl.h).
enum class Instruction : unsigned {
  kNone = 0,           // no processor has it
  kByteDot256 = 1,     // vpdpbusd encoded by VEX, in vectors of AVX2: AVX-VNNI
  kByteDot512 = 2,     // vpdpbusd encoded by EVEX, in vectors of AVX-512: AVX-512 VNNI
  kBfloat16Tiles = 4,  // tdpbf16ps with tile loads and stores: Intel AMX
  kInt8Tiles = 8,      // tdpbsud with tile loads and stores: Intel AMX
  kX86Level3 = 16,     // all of x86-64-v3, for which the emulation of CUDA is compiled
};

// True if the processor has the instruction and the operating system lets this process use it.
bool has(Instruction instruction);

// Sizes of a core's L1 data cache and L2 cache in bytes; 32 KiB and 512 KiB if the system does not report them.
int64_t l1_bytes();
int64_t l2_bytes();

}  // namespace moe::cpu
