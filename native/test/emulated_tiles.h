// The tile registers of Intel AMX in memory, to test kernels on processors without them. Include it before a kernel
// that uses their intrinsics: it replaces them.
#pragma once

#include <immintrin.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace moe::testing::tiles {

// A thread's tile registers; _tile_loadconfig sets their sizes.
struct Registers {
  uint16_t line_bytes[8];
  uint8_t lines[8];
  uint8_t data[8][16][64];
};
inline thread_local Registers registers{};
// Number of products of tiles so far, by all threads.
inline std::atomic<int64_t> products = 0;

// Ends the process where a processor would raise an exception, because a test cannot continue.
inline void require(bool holds) {
  if (!holds) std::abort();
}

inline void configure(const void* config) {
  const auto* bytes = static_cast<const uint8_t*>(config);
  require(bytes[0] == 1);  // the palette of eight registers
  std::memcpy(registers.line_bytes, bytes + 16, sizeof(registers.line_bytes));
  std::memcpy(registers.lines, bytes + 48, sizeof(registers.lines));
  for (int i = 0; i < 8; ++i) require(registers.line_bytes[i] <= 64 && registers.lines[i] <= 16);
  std::memset(registers.data, 0, sizeof(registers.data));
}

inline void release() { std::memset(registers.lines, 0, sizeof(registers.lines)); }

inline void zero(int tile) { std::memset(registers.data[tile], 0, sizeof(registers.data[tile])); }

inline void load(int tile, const void* from, int64_t stride) {
  require(registers.lines[tile] > 0);
  zero(tile);
  for (int line = 0; line < registers.lines[tile]; ++line) {
    std::memcpy(registers.data[tile][line], static_cast<const char*>(from) + line * stride, registers.line_bytes[tile]);
  }
}

inline void store(int tile, void* to, int64_t stride) {
  require(registers.lines[tile] > 0);
  for (int line = 0; line < registers.lines[tile]; ++line) {
    std::memcpy(static_cast<char*>(to) + line * stride, registers.data[tile][line], registers.line_bytes[tile]);
  }
}

// sums += the products of signed bytes of a by unsigned ones of b, four at a time.
inline void multiply_signed_unsigned(int sums, int a, int b) {
  const Registers& r = registers;
  require(r.lines[sums] == r.lines[a] && r.line_bytes[sums] == r.line_bytes[b]);
  require(r.line_bytes[a] / 4 == r.lines[b] && r.lines[b] > 0);
  for (int line = 0; line < r.lines[sums]; ++line) {
    for (int column = 0; column < r.line_bytes[sums] / 4; ++column) {
      int32_t sum;
      std::memcpy(&sum, r.data[sums][line] + 4 * column, 4);
      for (int k = 0; k < r.line_bytes[a]; ++k) {
        sum += static_cast<int8_t>(r.data[a][line][k]) * r.data[b][k / 4][4 * column + k % 4];
      }
      std::memcpy(registers.data[sums][line] + 4 * column, &sum, 4);
    }
  }
  ++products;
}

}  // namespace moe::testing::tiles

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbsud
#define _tile_loadconfig ::moe::testing::tiles::configure
#define _tile_release ::moe::testing::tiles::release
#define _tile_zero ::moe::testing::tiles::zero
#define _tile_loadd ::moe::testing::tiles::load
#define _tile_stored ::moe::testing::tiles::store
#define _tile_dpbsud ::moe::testing::tiles::multiply_signed_unsigned
