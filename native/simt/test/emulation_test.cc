// The emulation of CUDA finds the mistakes that it is made for: a missing barrier, collectives that not all lanes
// reach, copies that were not waited for. And its tensor core multiplies matrices.
#include <cuda_bf16.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "cuda/kernel/ptx.h"
#include "simt/test/launches.h"

namespace simt {
namespace {

enum Barrier { kNone, kWarp, kBlock };

__global__ void reverse_kernel(Barrier barrier, int* y) {
  MOE_DYNAMIC_SHARED(int, shared);
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (barrier == kWarp) __syncwarp();
  if (barrier == kBlock) __syncthreads();
  y[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

int wrong_results(Barrier barrier, unsigned threads) {
  std::vector<int> want(threads), y(threads);
  std::iota(want.rbegin(), want.rend(), 0);
  int wrong = 0;
  for (int i = 0; i < 5 * kLaunches; ++i) {
    EXPECT_EQ(run(threads, threads * sizeof(int), reverse_kernel, barrier, y.data()), cudaSuccess);
    wrong += y != want;
  }
  return wrong;
}

TEST(EmulationTest, AMissingBarrierGivesWrongResults) {
  EXPECT_EQ(wrong_results(kBlock, 128), 0);
  EXPECT_GT(wrong_results(kNone, 128), 0);
  EXPECT_GT(wrong_results(kWarp, 128), 0) << "a warp's barrier does not hold the block";
  EXPECT_EQ(wrong_results(kWarp, 32), 0);
  EXPECT_GT(wrong_results(kNone, 32), 0);
}

TEST(EmulationTest, BarriersThatNotAllReachAreADeadlock) {
  void (*kernel)() = [] {
    if (threadIdx.x < 16) {
      __syncthreads();
    } else {
      __syncwarp();
    }
  };
  const std::string text = failure_of([&] { return run(32, 0, kernel); });
  EXPECT_EQ(text, "block (0, 0, 0): deadlock: thread (0, 0, 0) waits at __syncthreads with 16 of 32 threads");
}

TEST(EmulationTest, CollectivesThatNotAllReachAreADeadlock) {
  void (*kernel)(int*) = [](int* y) {
    if (threadIdx.x >= 8) *y = __shfl_xor_sync(~0u, 1, 1);
  };
  int y = 0;
  const std::string text = failure_of([&] { return run(32, 0, kernel, &y); });
  EXPECT_EQ(text,
            "block (0, 0, 0): deadlock: thread (8, 0, 0) waits in __shfl_xor_sync with mask ffffffff, where "
            "ffffff00 have arrived");
}

TEST(EmulationTest, LanesInDifferentCollectivesAreRefused) {
  void (*kernel)() = [] {
    if (threadIdx.x % 2 == 0) {
      __ballot_sync(~0u, 1);
    } else {
      __shfl_sync(~0u, 1, 0);
    }
  };
  const std::string text = failure_of([&] { return run(32, 0, kernel); });
  EXPECT_NE(text.find("lanes of a warp are in different collectives"), std::string::npos) << text;
}

TEST(EmulationTest, ALaneOutsideItsOwnMaskIsRefused) {
  void (*kernel)() = [] { __syncwarp(0xffff); };
  const std::string text = failure_of([&] { return run(32, 0, kernel); });
  EXPECT_NE(text.find("__syncwarp: the lane itself is not in the mask"), std::string::npos) << text;
}

TEST(EmulationTest, LaunchesBeyondTheDeviceAreRefused) {
  void (*kernel)() = [] {};
  EXPECT_EQ(run(1025, 0, kernel), cudaErrorInvalidValue);
  EXPECT_EQ(run(1024, 0, kernel), cudaSuccess);
}

TEST(EmulationTest, SharedMemoryBeyond48KibMustBeAskedForWithinTheGpusLimit) {
  void (*kernel)() = [] {};
  const auto ask = [&](int bytes) {
    return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                bytes);
  };
  EXPECT_EQ(run(32, 48 << 10, kernel), cudaSuccess);
  EXPECT_EQ(run(32, (48 << 10) + 1, kernel), cudaErrorInvalidValue);
  const std::pair<const char*, int> gpus[] = {{"80", 163}, {"86", 99}, {"90", 227}, {"100", 227}};
  for (const auto& [architecture, kib] : gpus) {
    ::setenv("PANAMOE_SIMT_ARCH", architecture, 1);
    cudaDeviceProp properties{};
    EXPECT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
    EXPECT_EQ(std::to_string(properties.major * 10 + properties.minor), architecture);
    EXPECT_EQ(properties.sharedMemPerBlockOptin, size_t(kib) << 10);
    EXPECT_EQ(ask((kib << 10) + 1), cudaErrorInvalidValue);
    EXPECT_EQ(ask(kib << 10), cudaSuccess);
    EXPECT_EQ(run(32, size_t(kib) << 10, kernel), cudaSuccess);
    EXPECT_EQ(run(32, (size_t(kib) << 10) + 1, kernel), cudaErrorInvalidValue);
  }
  ::unsetenv("PANAMOE_SIMT_ARCH");
}

TEST(EmulationTest, MisalignedCopiesAndMatricesAreRefused) {
  alignas(16) static unsigned char bytes[64];
  void (*copy)(int, int, int) = [](int to, int from, int filled) {
    MOE_DYNAMIC_SHARED(unsigned char, shared);
    moe::cuda::copy_async_16(shared + to, bytes + from, filled);
  };
  const auto failure = [&](int to, int from, int filled) {
    return failure_of([&] { return run(1, 64, copy, to, from, filled); });
  };
  EXPECT_EQ(run(1, 64, copy, 16, 32, 0), cudaSuccess);
  EXPECT_NE(failure(8, 0, 16).find("cp.async of an address that is not a multiple of 16"), std::string::npos);
  EXPECT_NE(failure(0, 2, 16).find("cp.async of an address that is not a multiple of 16"), std::string::npos);
  EXPECT_NE(failure(0, 0, 17).find("cp.async fills 17 of 16 bytes"), std::string::npos);
  void (*load)() = [] {
    MOE_DYNAMIC_SHARED(unsigned char, shared);
    uint32_t r[4];
    moe::cuda::load_matrices(r, shared + (threadIdx.x == 3 ? 8 : 0));
  };
  EXPECT_NE(failure_of([&] { return run(32, 64, load); }).find("ldmatrix of an address"), std::string::npos);
}

TEST(EmulationTest, ACapturedLaunchRunsWithItsGraph) {
  int y = 0;
  void (*kernel)(int*) = [](int* count) { ++*count; };
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
  cudaLaunchConfig_t config;
  config.stream = stream;
  EXPECT_EQ(cudaLaunchKernelEx(&config, kernel, &y), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  EXPECT_EQ(y, 0);
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
  EXPECT_EQ(y, 2);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

struct Seen {
  unsigned before, one_pending, after, tail;
};

__global__ void copy_kernel(const uint4* x, Seen* seen) {
  MOE_DYNAMIC_SHARED(uint4, shared);
  shared[0].x = 9;
  moe::cuda::copy_async_16(&shared[0], &x[0]);
  moe::cuda::commit_copies();
  moe::cuda::copy_async_16(&shared[1], &x[1], 4);
  moe::cuda::commit_copies();
  seen->before = shared[0].x;
  moe::cuda::wait_copies<1>();
  seen->one_pending = shared[1].x;
  seen->tail = shared[0].w;
  moe::cuda::wait_copies<0>();
  seen->after = shared[1].x + shared[1].y;
}

TEST(EmulationTest, ACopyLandsWhenItIsWaitedFor) {
  const uint4 x[] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
  Seen seen{};
  ASSERT_EQ(run(1, sizeof(x), copy_kernel, x, &seen), cudaSuccess);
  EXPECT_EQ(seen.before, ~0u) << "neither the old nor the new content";
  EXPECT_EQ(seen.one_pending, ~0u);
  EXPECT_EQ(seen.tail, 4u);
  EXPECT_EQ(seen.after, 5u) << "4 bytes were asked for, the others are 0";
}

// d [16, 8] = a [16, 16] b^T for b [8, 16], with fragments loaded like in the kernels.
__global__ void multiply_kernel(const __nv_bfloat16* a, const __nv_bfloat16* b, float* d) {
  MOE_DYNAMIC_SHARED(__nv_bfloat16, shared);
  for (unsigned i = threadIdx.x; i < 24 * 16; i += 32) shared[i] = i < 16 * 16 ? a[i] : b[i - 16 * 16];
  __syncwarp();
  const unsigned lane = threadIdx.x;
  uint32_t a_part[4], b_parts[4];
  moe::cuda::load_matrices(a_part, shared + lane % 16 * 16 + lane / 16 * 8);
  moe::cuda::load_matrices(b_parts, shared + 16 * 16 + lane % 8 * 16 + lane / 8 % 2 * 8);
  const uint32_t b_part[2] = {b_parts[0], b_parts[1]};
  float sums[4] = {};
  moe::cuda::multiply_m16n8k16(sums, a_part, b_part);
  for (unsigned i = 0; i < 4; ++i) d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sums[i];
}

TEST(EmulationTest, TheTensorCoreMultipliesMatrices) {
  __nv_bfloat16 a[16 * 16], b[8 * 16];
  for (int i = 0; i < 16 * 16; ++i) a[i] = __float2bfloat16_rn(static_cast<float>(i * 7 % 13 - 6));
  for (int i = 0; i < 8 * 16; ++i) b[i] = __float2bfloat16_rn(static_cast<float>(i * 5 % 11 - 4));
  float d[16 * 8] = {};
  ASSERT_EQ(run(32, sizeof(a) + sizeof(b), multiply_kernel, a, b, d), cudaSuccess);
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      float want = 0;
      for (int k = 0; k < 16; ++k) want += __bfloat162float(a[row * 16 + k]) * __bfloat162float(b[column * 16 + k]);
      EXPECT_EQ(d[row * 8 + column], want) << row << ", " << column;
    }
  }
}

}  // namespace
}  // namespace simt
