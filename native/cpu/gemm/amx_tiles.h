// The tile registers of Intel AMX.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*:TileGemmTest.*'; timed by gemm_bench.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstdint>

// Functions that use the tile unit (Intel AMX); only for processors that have it.
#define MOE_TILE_INSTRUCTIONS "amx-tile,amx-bf16,amx-int8"
#define MOE_TILE_CODE __attribute__((target(MOE_TILE_INSTRUCTIONS)))
// The same with the vectors of a Highway target: to clang the attribute says everything that a function may use.
#define MOE_TILE_AND_VECTOR_CODE __attribute__((target(HWY_TARGET_STR "," MOE_TILE_INSTRUCTIONS)))

namespace moe::cpu {

// The tile registers of this thread while it lives, of zeros: 0 to 3 of 16 x 16 sums, 4 and 5 of 16 rows of A with
// kBytes of k each, 6 and 7 of as many k of 16 columns of B, four bytes of k a line.
template <int kBytes>
class TileRegisters {
 public:
  MOE_TILE_CODE TileRegisters() {
    static constexpr uint8_t kLines = kBytes / 4;
    // Static, because some compilers do not see that all of it is read, and would not store it.
    static constexpr struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t line_bytes[16] = {64, 64, 64, 64, kBytes, kBytes, 64, 64};
      uint8_t lines[16] = {16, 16, 16, 16, 16, 16, kLines, kLines};
    } kConfig;
    _tile_loadconfig(&kConfig);
  }
  MOE_TILE_CODE ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

}  // namespace moe::cpu
#endif
