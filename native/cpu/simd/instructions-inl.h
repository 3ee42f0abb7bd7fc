// Instructions that Highway lacks, as compiled for this target. Part of each Highway target. Listed in
// docs/kernels-cpu.md.
#if defined(MOE_CPU_INSTRUCTIONS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_INSTRUCTIONS_INL_H
#undef MOE_CPU_INSTRUCTIONS_INL_H
#else
#define MOE_CPU_INSTRUCTIONS_INL_H
#endif

#include "cpu/processor.h"
#include "hwy/highway.h"

// 1 if processors with this target's vectors may have tiles (Intel AMX).
#undef MOE_TILES
#define MOE_TILES (HWY_TARGET <= HWY_AVX3)

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Instructions that this target's code uses if the processor has them.
inline constexpr Instruction kBfloat16Tiles = MOE_TILES ? Instruction::kBfloat16Tiles : Instruction::kNone;
inline constexpr Instruction kInt8Tiles = MOE_TILES ? Instruction::kInt8Tiles : Instruction::kNone;
// kNone if Highway has the instruction itself (from AVX3_DL on), or vectors are too narrow.
inline constexpr Instruction kByteDot = HWY_TARGET == HWY_AVX3   ? Instruction::kByteDot512
                                        : HWY_TARGET == HWY_AVX2 ? Instruction::kByteDot256
                                                                 : Instruction::kNone;

// sum += four products of unsigned by signed bytes, per 32-bit word. kInstruction: the processor has kByteDot.
template <bool kInstruction>
HWY_INLINE hn::Vec<hn::ScalableTag<int32_t>> dot_bytes(hn::Vec<hn::ScalableTag<uint8_t>> x,
                                                       hn::Vec<hn::ScalableTag<int8_t>> y,
                                                       hn::Vec<hn::ScalableTag<int32_t>> sum) {
  if constexpr (kInstruction && kByteDot != Instruction::kNone) {
#if HWY_TARGET == HWY_AVX3
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(x.raw), "v"(y.raw));
#elif HWY_TARGET == HWY_AVX2
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum.raw) : "x"(x.raw), "x"(y.raw));
#endif
    return sum;
  } else {
    return hn::SumOfMulQuadAccumulate(hn::ScalableTag<int32_t>(), x, y, sum);
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
