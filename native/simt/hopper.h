// The emulation of cuda/kernel/ptx_hopper.h: barriers that count copies (mbarrier), copies by the tensor memory
// accelerator (TMA), products of a warpgroup from shared memory (wgmma). Test only.
#pragma once

#include <cuda.h>

#include "simt/block.h"

namespace simt {

// Copies one box of the matrix that `map` describes to shared memory; it lands later and completes its bytes at the
// barrier. Throws if it would trap on a GPU, or if the emulation does not support it.
void start_box(AsyncProxy& async, const CUtensorMap& map, const std::array<int, 3>& first, void* to, uint64_t* barrier);

// wgmma: d [64, columns] += a [64, 16] b [16, columns] in bfloat16; called by all lanes of a warp with their registers.
// It reads and writes when its group lands: at its commit or when it is waited for.
void issue_product(Block& block, float* d, int columns, uint64_t a, uint64_t b, bool transposed_a);
// wgmma.fence, wgmma.commit_group and wgmma.wait_group.
void fence_registers(Block& block);
void commit_group(Block& block);
void wait_groups(Block& block, size_t pending);

}  // namespace simt

namespace moe::cuda {

inline uint32_t shared_address(const void* shared) { return simt::Block::current().async().address_of(shared); }

inline void start_barrier(uint64_t* barrier, int arrivals) {
  simt::Block& block = simt::Block::current();
  block.async().start_mbarrier(barrier, arrivals, &block.thread());
}
inline void fence_barrier_starts() {
  simt::Block& block = simt::Block::current();
  block.async().announce_mbarriers(&block.thread());
}
inline void arrive_with_copies(uint64_t* barrier, int bytes) {
  simt::Mbarrier& found = simt::Block::current().async().mbarrier(barrier);
  if (found.arrivals == 0) simt::Block::current().refuse("more threads arrive at an mbarrier than it was started for");
  --found.arrivals;
  found.bytes += bytes;
  found.go_on_if_complete();
}
inline void arrive(uint64_t* barrier) { arrive_with_copies(barrier, 0); }
inline void wait(uint64_t* barrier, int parity) {
  simt::Block& block = simt::Block::current();
  block.wait_for(block.async().mbarrier(barrier), parity);
}

inline void copy_box(void* to, const CUtensorMap& map, int x, int y, int z, uint64_t* barrier) {
  simt::start_box(simt::Block::current().async(), map, {x, y, z}, to, barrier);
}
inline void fence_async_proxy() {
  simt::Block& block = simt::Block::current();
  block.async().fence(&block.thread());
}

template <int columns, bool transposed_a>
void multiply_m64k16(float (*d)[4], uint64_t a, uint64_t b) {
  static_assert(columns % 8 == 0 && columns >= 8 && columns <= 256);
  simt::issue_product(simt::Block::current(), d[0], columns, a, b, transposed_a);
}
inline void begin_products() { simt::fence_registers(simt::Block::current()); }
inline void commit_products() { simt::commit_group(simt::Block::current()); }
template <int pending, int columns>
void wait_products(float (*)[4]) {
  simt::wait_groups(simt::Block::current(), pending);
}

template <int registers>
void give_registers() {
  static_assert(registers % 8 == 0 && registers >= 24 && registers <= 256);
  simt::Block::current().set_registers(registers);
}
template <int registers>
void take_registers() {
  give_registers<registers>();
}

template <int number, int threads>
void meet_at_barrier() {
  simt::Block::current().barrier(0, number, threads);
}

}  // namespace moe::cuda
