// A custom elementwise activation: y = custom(x), dx = dy custom_slope(x). NVRTC compiles it with a custom_activation.h
// that defines float custom(float x) and its derivative float custom_slope(float x). Bound by bytes.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='EmulatedActivation*'; CompilationTest (Java) for NVRTC.
#include "cuda/runtime_kernel/activation.h"
#include "cuda/runtime_kernel/element.h"
#include "custom_activation.h"

namespace {

using moe::cuda::runtime_kernel::Elements;
using moe::cuda::runtime_kernel::Extent;
using moe::cuda::runtime_kernel::kActivationThreads;

__device__ __forceinline__ void write(float value, Elements to, long long i) {
  if (to.narrow) {
    store_float(value, static_cast<bfloat16*>(to.data) + i);
  } else {
    static_cast<float*>(to.data)[i] = value;
  }
}

// Calls visit(i) for the elements of this thread.
template <typename Visit>
__device__ __forceinline__ void for_each_element(Extent extent, Visit&& visit) {
  const long long there = extent.rows == nullptr ? extent.count : min(extent.count, *extent.rows * extent.width);
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < there; i += stride) visit(i);
}

}  // namespace

// y = custom(x); also saved = x if saved is not null. y may alias x.
RUNTIME_KERNEL void __launch_bounds__(kActivationThreads)
    activation_forward(Elements x, Elements saved, Elements y, Extent extent) {
  for_each_element(extent, [&](long long i) {
    const float value = read(x, i);
    if (saved.data != nullptr) write(value, saved, i);
    write(custom(value), y, i);
  });
}

// dx = dy custom_slope(x). dx may alias x.
RUNTIME_KERNEL void __launch_bounds__(kActivationThreads)
    activation_backward(Elements x, Elements dy, Elements dx, Extent extent) {
  for_each_element(extent, [&](long long i) { write(read(dy, i) * custom_slope(read(x, i)), dx, i); });
}
