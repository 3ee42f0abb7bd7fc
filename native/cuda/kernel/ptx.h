// Instructions that CUDA offers only as PTX: matrix products of a warp (mma), loads of their fragments (ldmatrix),
// asynchronous copies (cp.async), powers of two (ex2). The emulation (MOE_SIMT) has its own in simt/tensor_core.h.
#pragma once

#include <cstdint>

#if defined(MOE_SIMT)
#include "simt/tensor_core.h"
#else

namespace moe::cuda {

// d += a b for bfloat16 a [16, 16], b [16, 8], float32 d; fragments as in the PTX ISA for mma.m16n8k16.
__device__ __forceinline__ void multiply_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// Loads four 8 x 8 matrices of 16-bit numbers from shared memory: lane i gives the address of row i % 8 of matrix i /
// 8; r[m] receives row lane / 4, columns 2 (lane % 4) and the next, of matrix m.
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// load_matrices with each matrix transposed.
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// Copies 16 bytes from global to shared memory; those from byte `filled` on become 0. Both addresses are multiples of
// 16.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global, int filled = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(filled)
               : "memory");
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most the `pending` newest committed groups are in flight.
template <int pending>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// 2^x with a relative error of at most 2^-22; 0 below 2^-126.
__device__ __forceinline__ float power_of_two(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

}  // namespace moe::cuda

#endif
