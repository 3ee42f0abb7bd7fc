// Instructions of sm_90a that CUDA offers only as PTX: barriers that count copies (mbarrier), copies by the tensor
// memory accelerator (TMA), products of a warpgroup from shared memory (wgmma). The emulation (MOE_SIMT) has its own in
// simt/hopper.h. MOE_HOPPER is defined if the architecture has them.
#pragma once

#include <cuda.h>

#include "cuda/kernel/ptx.h"

#if defined(MOE_SIMT)
#define MOE_HOPPER
#include "simt/hopper.h"
#elif defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define MOE_HOPPER

namespace moe::cuda {

__device__ __forceinline__ void start_barrier(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

// Called by the thread that initialized barriers: makes them visible to TMA, and to other threads after the block's
// barrier.
__device__ __forceinline__ void fence_barrier_starts() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Arrives, and makes the barrier also wait for `bytes` of copies.
__device__ __forceinline__ void arrive_with_copies(uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}

// Waits until the barrier's phase of this parity has completed.
__device__ __forceinline__ void wait(uint64_t* barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// Starts copying the map's box at (x, y, z) to shared memory; it counts towards the barrier's bytes.
__device__ __forceinline__ void copy_box(void* to, const CUtensorMap& map, int x, int y, int z, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3, %4}], [%5];" ::"r"(shared_address(to)),
      "l"(&map), "r"(x), "r"(y), "r"(z), "r"(shared_address(barrier))
      : "memory");
}

// Makes this thread's writes to shared memory visible to TMA and wgmma that start after the block's next barrier.
__device__ __forceinline__ void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Called before the first product, and after anything else wrote its registers.
__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most the `pending` newest committed groups are in flight; the sums of finished ones are in d.
template <int pending, int columns>
__device__ __forceinline__ void wait_products(float (*d)[4]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
#pragma unroll
  for (int i = 0; i < columns / 8; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) asm volatile("" : "+f"(d[i][j])::"memory");
  }
}

// Called by all warps of a warpgroup: sets the registers of each thread to this number, a multiple of 8.
template <int registers>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}

// One of the block's named barriers, for `threads` of its threads.
template <int number, int threads>
__device__ __forceinline__ void meet_at_barrier() {
  asm volatile("bar.sync %0, %1;" ::"n"(number), "n"(threads) : "memory");
}

}  // namespace moe::cuda

#include "cuda/kernel/ptx_wgmma.h"

#endif

#if defined(MOE_HOPPER)

namespace moe::cuda {

// The wgmma descriptor of a panel with rows of 128 bytes in 128-byte swizzle.
__device__ __forceinline__ uint64_t describe_panel(const void* panel) {
  constexpr uint64_t kSwizzle128Bytes = 1;
  constexpr int kEightRows = 1024;
  return uint64_t{(shared_address(panel) & 0x3ffff) >> 4} | uint64_t{kEightRows >> 4} << 32 | kSwizzle128Bytes << 62;
}

}  // namespace moe::cuda

#endif
