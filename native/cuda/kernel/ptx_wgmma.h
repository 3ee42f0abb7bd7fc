// wgmma: products of a warpgroup from shared memory, one instruction per number of columns. Included by ptx_hopper.h.
#pragma once

#include <cstdint>

// Names of the first 4, 8, ... registers in an instruction, and the registers themselves.
#define MOE_NAMES_4 "%0, %1, %2, %3"
#define MOE_NAMES_8 MOE_NAMES_4 ", %4, %5, %6, %7"
#define MOE_NAMES_16 MOE_NAMES_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define MOE_NAMES_32 \
  MOE_NAMES_16       \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define MOE_NAMES_64                                                                 \
  MOE_NAMES_32                                                                       \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define MOE_NAMES_128                                                                            \
  MOE_NAMES_64                                                                                   \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"             \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"             \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define MOE_SUMS_4(i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define MOE_SUMS_8(i) MOE_SUMS_4(i), MOE_SUMS_4(i + 1)
#define MOE_SUMS_16(i) MOE_SUMS_8(i), MOE_SUMS_8(i + 2)
#define MOE_SUMS_32(i) MOE_SUMS_16(i), MOE_SUMS_16(i + 4)
#define MOE_SUMS_64(i) MOE_SUMS_32(i), MOE_SUMS_32(i + 8)
#define MOE_SUMS_128(i) MOE_SUMS_64(i), MOE_SUMS_64(i + 16)
// `a`, `b` and `transposed` are the operand names after the registers.
#define MOE_WGMMA(columns, registers, a, b, transposed)                                                 \
  asm volatile("wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" MOE_NAMES_##registers \
               "}, " a ", " b ", 1, 1, 1, " transposed ", 0;"                                           \
               : MOE_SUMS_##registers(0)                                                                \
               : "l"(of_a), "l"(of_b), "n"(transposed_a))

namespace moe::cuda {

// d += a b for a [64, 16] and b [16, columns]; a's panel may be transposed. A warp holds 16 rows of d; d[i] is eight
// columns in the layout of mma.m16n8k16.
template <int columns, int transposed_a>
__device__ __forceinline__ void multiply_m64k16(float (*d)[4], uint64_t of_a, uint64_t of_b) {
  if constexpr (columns == 8) {
    MOE_WGMMA(8, 4, "%4", "%5", "%6");
  } else if constexpr (columns == 16) {
    MOE_WGMMA(16, 8, "%8", "%9", "%10");
  } else if constexpr (columns == 32) {
    MOE_WGMMA(32, 16, "%16", "%17", "%18");
  } else if constexpr (columns == 64) {
    MOE_WGMMA(64, 32, "%32", "%33", "%34");
  } else if constexpr (columns == 128) {
    MOE_WGMMA(128, 64, "%64", "%65", "%66");
  } else {
    static_assert(columns == 256);
    MOE_WGMMA(256, 128, "%128", "%129", "%130");
  }
}

}  // namespace moe::cuda
