// The tile registers of Intel AMX.
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench.
#pragma once

#include <immintrin.h>

#include <cstdint>

// Functions that use the tile unit (Intel AMX); only for processors that have it.
#define MOE_TILE_CODE __attribute__((target("amx-tile,amx-bf16")))

namespace moe::cpu {

// The tile registers of this thread while it lives: all of 16 lines of 64 bytes, and of zeros.
class TileRegisters {
 public:
  MOE_TILE_CODE TileRegisters() {
    // Static, because some compilers do not see that all of it is read, and would not store it.
    static constexpr struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t line_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } kConfig;
    _tile_loadconfig(&kConfig);
  }
  MOE_TILE_CODE ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

}  // namespace moe::cpu
