// Measures a machine's peak rates of fused multiply-adds and of reading memory. Part of each Highway target.
#if defined(MOE_BENCH_CEILINGS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_BENCH_CEILINGS_INL_H
#undef MOE_BENCH_CEILINGS_INL_H
#else
#define MOE_BENCH_CEILINGS_INL_H
#endif

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cpu/gemm/amx_tiles.h"
#include "cpu/simd/instructions-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Twelve independent sums hide the latency of a multiply-add. Returns the number of floating-point operations.
inline double multiply_add(int64_t steps, float seed, float* sink) {
  const hn::ScalableTag<float> d;
  hn::Vec<decltype(d)> sum[12];
  for (auto& s : sum) s = hn::Zero(d);
  const auto x = hn::Set(d, seed), y = hn::Set(d, seed + 1);
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 12
    for (auto& s : sum) s = hn::MulAdd(x, y, s);
  }
  for (int i = 1; i < 12; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  *sink = hn::ReduceSum(d, sum[0]);
  return 24.0 * static_cast<double>(hn::Lanes(d)) * static_cast<double>(steps);
}

#if HWY_ARCH_X86
// Multiplies tiles by themselves, from registers. Returns the number of floating-point operations.
MOE_TILE_CODE inline double square_tiles(int64_t steps) {
  const cpu::TileRegisters<64> zeros;
  for (int64_t i = 0; i < steps; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return 4 * (2.0 * 16 * 16 * 32) * static_cast<double>(steps);
}

// Multiplies byte tiles by themselves. Returns twice the number of multiply-adds.
MOE_TILE_CODE inline double square_byte_tiles(int64_t steps) {
  const cpu::TileRegisters<64> zeros;
  for (int64_t i = 0; i < steps; ++i) {
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  return 4 * (2.0 * 16 * 16 * 64) * static_cast<double>(steps);
}

// Whether instruction sets are unlimited: gemm_bench compares lesser ones with their own ceilings.
inline bool tiles_allowed() {
  const char* limit = std::getenv("PANAMOE_SIMD");
  return limit == nullptr || *limit == '\0' || std::string_view(limit) == "AMX";
}
#endif

// Returns the number of floating-point operations. Without an instruction for it, a bfloat16 product is a float32 one
// after widening, so its ceiling is float32's.
inline double dot_bf16(int64_t steps, float seed, float* sink) {
#if HWY_ARCH_X86
  if (tiles_allowed() && cpu::has(cpu::Instruction::kBfloat16Tiles)) return square_tiles(steps / 4);
#endif
#if HWY_NATIVE_DOT_BF16
  const hn::ScalableTag<hwy::bfloat16_t> d;
  const hn::Repartition<float, decltype(d)> df;
  hn::Vec<decltype(df)> sum[12];
  for (auto& s : sum) s = hn::Zero(df);
  auto unused = hn::Zero(df);
  const auto x = hn::Set(d, hwy::BF16FromF32(seed)), y = hn::Set(d, hwy::BF16FromF32(seed + 1));
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 12
    for (auto& s : sum) s = hn::ReorderWidenMulAccumulate(df, x, y, s, unused);
  }
  for (int i = 1; i < 12; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  *sink = hn::ReduceSum(df, hn::Add(sum[0], unused));
  return 24.0 * static_cast<double>(hn::Lanes(d)) * static_cast<double>(steps);
#else
  return multiply_add(steps, seed, sink);
#endif
}

// Dot products of four unsigned by four signed bytes. Returns twice the number of multiply-adds.
template <bool kInstruction>
double dot_bytes(int64_t steps, float seed, float* sink) {
  const hn::ScalableTag<int32_t> d;
  const hn::ScalableTag<uint8_t> du;
  const hn::ScalableTag<int8_t> di;
  hn::Vec<decltype(d)> sum[12];
  for (auto& s : sum) s = hn::Zero(d);
  const auto x = hn::Set(du, static_cast<uint8_t>(seed));
  for (int64_t i = 0; i < steps; ++i) {
#pragma GCC unroll 12
    for (auto& s : sum) s = cpu::HWY_NAMESPACE::dot_bytes<kInstruction>(x, hn::BitCast(di, x), s);
  }
  for (int i = 1; i < 12; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  *sink = static_cast<float>(hn::ReduceSum(d, sum[0]));
  return 12 * 8.0 * static_cast<double>(hn::Lanes(d)) * static_cast<double>(steps);
}
inline double dot_int8(int64_t steps, float seed, float* sink) {
#if HWY_ARCH_X86
  if (tiles_allowed() && cpu::has(cpu::Instruction::kInt8Tiles)) return square_byte_tiles(steps / 4);
#endif
  using cpu::HWY_NAMESPACE::kByteDot;
  const bool instruction = kByteDot != cpu::Instruction::kNone && cpu::has(kByteDot);
  return instruction ? dot_bytes<true>(steps, seed, sink) : dot_bytes<false>(steps, seed, sink);
}

// Reads memory as `streams` parallel streams, each prefetched 2 KB ahead: past the L2 and L3 caches, which is fastest
// on AMD, or through the L2 cache.
inline void read_streams(const char* memory, int64_t bytes, int streams, bool past_caches, float* sink) {
  const hn::ScalableTag<uint8_t> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t stream = bytes / streams;
  auto sum = hn::Zero(d);
  for (int64_t i = 0; i < stream; i += 256) {
    for (int s = 0; s < streams; ++s) {
      const char* from = memory + s * stream + i;
      for (int64_t line = 0; line < 256; line += 64) {
        const char* ahead = from + 2048 + line;
        past_caches ? __builtin_prefetch(ahead, 0, 0) : __builtin_prefetch(ahead, 0, 2);
      }
      for (int64_t j = 0; j < 256; j += lanes) {
        sum = hn::Xor(sum, hn::LoadU(d, reinterpret_cast<const uint8_t*>(from) + j));
      }
    }
  }
  *sink = static_cast<float>(hn::GetLane(sum));
}

}  // namespace moe::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
