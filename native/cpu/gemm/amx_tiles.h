// The tile registers of Intel AMX.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*:TileGemmTest.*'; timed by gemm_bench.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstdint>

// Attribute of functions that use Intel AMX. Only processors that have it may call them.
#define MOE_TILE_INSTRUCTIONS "amx-tile,amx-bf16,amx-int8"
#define MOE_TILE_CODE __attribute__((target(MOE_TILE_INSTRUCTIONS)))
// AMX together with the vectors of a Highway target: clang allows a function only what its attribute names.
#define MOE_TILE_AND_VECTOR_CODE __attribute__((target(HWY_TARGET_STR "," MOE_TILE_INSTRUCTIONS)))

namespace moe::cpu {

// Configures this thread's tile registers while it lives, and zeroes them: 0 to 3 hold 16 x 16 sums; 4 and 5 16 rows of
// A, kBytes of k each; 6 and 7 16 columns of B, four bytes of k per row of the tile.
template <int kBytes>
class TileRegisters {
 public:
  MOE_TILE_CODE TileRegisters() {
    static constexpr uint8_t kLines = kBytes / 4;
    // Static, because some compilers do not see that every byte is read and would not store it.
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
