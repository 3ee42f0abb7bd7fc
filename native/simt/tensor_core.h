// The emulation of cuda/kernel/ptx.h: matrix products of a warp, loads of their fragments, asynchronous copies, powers
// of two. It sums products over k in order; a tensor core has another order, so tests compare with a tolerance. Test
// only.
#pragma once

#include <limits>

#include "simt/language.h"

namespace moe::cuda {

// d += a b for 16 x 16 a and 16 x 8 b in bfloat16, d float32, in PTX's layout of mma.m16n8k16 over the lanes: with g =
// lane / 4, t = lane % 4, a holds (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8) and the next column of each; b
// holds (2t, g), (2t + 8, g) and the next row of each; d holds (g, 2t), (g, 2t + 1) and both 8 rows below.
inline void multiply_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (simt::kCounted) {
    if (simt::this_lane() == 0) simt::count_product(16, 8, true, 0);
    asm volatile("" : "+m"(d) : "m"(a), "m"(b));  // the compiler may not leave out their loads
    return;
  }
  struct Fragments {
    uint32_t a[4], b[2];
  } mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const simt::Deposits& table = simt::Block::current().meet(~0u, &mine, sizeof(mine), "mma.m16n8k16");
  const int g = simt::this_lane() / 4, t = simt::this_lane() % 4;
  float rows[16][2], columns[16][2];  // per k: rows g and g + 8 of a, columns 2t and 2t + 1 of b
  const auto unpack = [](uint32_t pair, float(*to)[2], int i) {
    to[0][i] = std::bit_cast<float>(pair << 16);
    to[1][i] = std::bit_cast<float>(pair & 0xffff0000u);
  };
  for (int k = 0; k < 8; k += 2) {
    const auto& of_rows = simt::of_lane<Fragments>(table, g * 4 + k / 2);
    for (int i = 0; i < 2; ++i) {
      const auto& of_column = simt::of_lane<Fragments>(table, (t * 2 + i) * 4 + k / 2);
      for (int half = 0; half < 2; ++half) {
        unpack(of_rows.a[half * 2 + i], rows + half * 8 + k, i);
        unpack(of_column.b[half], columns + half * 8 + k, i);
      }
    }
  }
  float sums[4] = {d[0], d[1], d[2], d[3]};
  for (int k = 0; k < 16; ++k) {
    const float left[4] = {rows[k][0], rows[k][0], rows[k][1], rows[k][1]};
    const float right[4] = {columns[k][0], columns[k][1], columns[k][0], columns[k][1]};
    for (int i = 0; i < 4; ++i) sums[i] += left[i] * right[i];
  }
  std::memcpy(d, sums, sizeof(sums));
}

// Refuses an address that traps on a GPU.
inline void require_aligned(const void* address, const char* operation) {
  if (reinterpret_cast<uintptr_t>(address) % 16 == 0) return;
  simt::Block::current().refuse(std::string(operation) + " of an address that is not a multiple of 16");
}

// A lane's part of a counted ldmatrix: the row of 16 bytes that it gives.
inline void count_row(uint32_t (&r)[4]) {
  simt::count_shared(16);
  std::fill(r, r + 4, 0u);
}

// Loads four 8 x 8 matrices of 16-bit numbers from shared memory: lane i gives the address of row i % 8 of matrix i /
// 8; r[m] receives row lane / 4, columns 2 (lane % 4) and the next, of matrix m.
inline void load_matrices(uint32_t (&r)[4], const void* row) {
  require_aligned(row, "ldmatrix");
  if constexpr (simt::kCounted) return count_row(r);
  const simt::Deposits& table = simt::Block::current().meet(~0u, &row, sizeof(row), "ldmatrix.x4");
  const int lane = simt::this_lane();
  for (int m = 0; m < 4; ++m) {
    std::memcpy(&r[m], static_cast<const char*>(simt::of_lane<const void*>(table, m * 8 + lane / 4)) + lane % 4 * 4, 4);
  }
}

// load_matrices with each matrix transposed.
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  require_aligned(row, "ldmatrix");
  if constexpr (simt::kCounted) return count_row(r);
  const simt::Deposits& table = simt::Block::current().meet(~0u, &row, sizeof(row), "ldmatrix.x4.trans");
  const int lane = simt::this_lane();
  for (int m = 0; m < 4; ++m) {
    uint16_t pair[2];
    for (int i = 0; i < 2; ++i) {
      const auto* line = simt::of_lane<const uint16_t*>(table, m * 8 + lane % 4 * 2 + i);
      pair[i] = line[lane / 4];
    }
    std::memcpy(&r[m], pair, 4);
  }
}

// Copies 16 bytes from global to shared memory when the group is waited for, and until then the memory holds neither
// its old nor its new content; bytes from `filled` on become 0.
inline void copy_async_16(void* shared, const void* global, int filled = 16) {
  require_aligned(shared, "cp.async");
  require_aligned(global, "cp.async");
  if (filled < 0 || filled > 16)
    simt::Block::current().refuse("cp.async fills " + std::to_string(filled) + " of 16 bytes");
  if constexpr (simt::kCounted) {
    simt::count_copied(global, static_cast<size_t>(filled));
    return simt::count_shared(16);
  }
  std::memset(shared, simt::kUnwritten, 16);
  simt::Block::current().thread().copies.push_back({shared, global, static_cast<size_t>(filled)});
}

inline void commit_copies() {
  simt::Thread& thread = simt::Block::current().thread();
  size_t committed = 0;
  for (size_t group : thread.groups) committed += group;
  thread.groups.push_back(thread.copies.size() - committed);
}

// Waits until at most the `pending` newest committed groups are in flight.
template <int pending>
void wait_copies() {
  simt::Thread& thread = simt::Block::current().thread();
  while (thread.groups.size() > pending) {
    for (size_t i = 0; i < thread.groups.front(); ++i) {
      const simt::Copy& copy = thread.copies[i];
      if (copy.filled > 0) std::memcpy(copy.to, copy.from, copy.filled);
      std::memset(static_cast<char*>(copy.to) + copy.filled, 0, 16 - copy.filled);
    }
    const auto landed = static_cast<std::ptrdiff_t>(thread.groups.front());
    thread.copies.erase(thread.copies.begin(), thread.copies.begin() + landed);
    thread.groups.erase(thread.groups.begin());
  }
}

// 2^x, 0 below 2^-126.
inline float power_of_two(float x) {
  const float power = std::exp2(x);
  return power < std::numeric_limits<float>::min() ? 0 : power;
}

}  // namespace moe::cuda
