// The GPU's ceilings: rates of fused multiply-adds, of bfloat16 products of random numbers on tensor cores (by wgmma if
// there is one, else mma.sync), of reading and of copying memory. The roofline column of `panamoe bench --device cuda`
// is relative to them.
//
// cuda_ceilings_bench [THREADS]     THREADS is only printed; ceilings_bench has the same arguments
#include <cuda_runtime.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "bench/wgmma_ceiling.h"
#include "cuda/kernel/ptx.h"

namespace moe::bench {
namespace {

constexpr int kRepetitions = 7;
constexpr int kThreads = 256;
constexpr int kSums = 8;  // independent sums per thread, more than a unit's latency

void require(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "cuda_ceilings_bench: %s\n", cudaGetErrorString(error));
  std::exit(1);
}

__global__ void __launch_bounds__(kThreads) multiply_add(int steps, float x, float* sink) {
  float sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = static_cast<float>(threadIdx.x + i);
  for (int step = 0; step < steps; ++step) {
#pragma unroll
    for (int i = 0; i < kSums; ++i) sum[i] = fmaf(sum[i], x, x);
  }
  float total = 0;
  for (int i = 0; i < kSums; ++i) total += sum[i];
  if (total == 0.5f) *sink = total;  // never true, which the compiler cannot know
}

__global__ void __launch_bounds__(kThreads) multiply_matrices(int steps, const uint32_t* values, float* sink) {
  float sum[kSums][4] = {};
  uint32_t a[4], b[2];
  for (int i = 0; i < 4; ++i) a[i] = values[i * kThreads + threadIdx.x];
  for (int i = 0; i < 2; ++i) b[i] = values[(4 + i) * kThreads + threadIdx.x];
  for (int step = 0; step < steps; ++step) {
#pragma unroll
    for (int i = 0; i < kSums; ++i) cuda::multiply_m16n8k16(sum[i], a, b);
  }
  float total = 0;
  for (int i = 0; i < kSums; ++i) total += sum[i][0];
  if (total == 0.5f) *sink = total;
}

__global__ void __launch_bounds__(kThreads) read(const uint4* data, int64_t count, uint32_t* sink) {
  uint32_t seen = 0;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
#pragma unroll 8
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    const uint4 pack = __ldcs(data + i);
    seen |= pack.x | pack.y | pack.z | pack.w;
  }
  if (seen == 1) *sink = seen;
}

// Seconds of the best of several runs: a ceiling is what undisturbed hardware reaches.
template <typename Launcher>
double best_seconds(Launcher launch) {
  cudaEvent_t start, end;
  require(cudaEventCreate(&start));
  require(cudaEventCreate(&end));
  float best = 1e30f;
  for (int i = 0; i <= kRepetitions; ++i) {
    require(cudaEventRecord(start));
    launch();
    require(cudaEventRecord(end));
    require(cudaEventSynchronize(end));
    float milliseconds = 0;
    require(cudaEventElapsedTime(&milliseconds, start, end));
    if (i > 0) best = std::min(best, milliseconds);  // the first run warms up
  }
  require(cudaGetLastError());
  return best * 1e-3;
}

// Pairs of random bfloat16 numbers: a sign and a magnitude of 1/2 to 2.
std::vector<uint32_t> random_pairs(size_t count) {
  std::mt19937 random(1);
  std::vector<uint32_t> pairs(count);
  for (uint32_t& pair : pairs) pair = (random() & 0x80ff80ffu) | 0x3f003f00u;
  return pairs;
}

// Operations per second by wgmma; 0 if this program has no code for this GPU.
double wgmma_flops(const cudaDeviceProp& gpu, const uint32_t* values, float* sums) {
  constexpr int kSteps = 10000;
  if (gpu.major != 9) return 0;
  require(cudaFuncSetAttribute(multiply_panels, cudaFuncAttributeMaxDynamicSharedMemorySize, Panels::kSharedBytes));
  const int blocks = gpu.multiProcessorCount * 2;
  require(cudaMemset(sums, 0, sizeof(float)));
  const double seconds =
      best_seconds([&] { multiply_panels<<<blocks, Panels::kThreads, Panels::kSharedBytes>>>(kSteps, values, sums); });
  float computed = 0;
  require(cudaMemcpy(&computed, sums, sizeof computed, cudaMemcpyDefault));
  return computed == 0 ? 0 : blocks * Panels::kOperations * kSteps / seconds;
}

int run(int threads) {
  constexpr int kSteps = 20000;
  constexpr int64_t kBytes = int64_t{4} << 30;
  cudaDeviceProp gpu{};
  require(cudaGetDeviceProperties(&gpu, 0));
  const int blocks = gpu.multiProcessorCount * (2048 / kThreads);
  void* memory = nullptr;
  require(cudaMalloc(&memory, kBytes));
  require(cudaMemset(memory, 0, kBytes));
  const std::vector<uint32_t> pairs = random_pairs(std::max(6 * kThreads, Panels::kValues / 2));
  uint32_t* values = nullptr;
  require(cudaMalloc(&values, pairs.size() * sizeof(uint32_t)));
  require(cudaMemcpy(values, pairs.data(), pairs.size() * sizeof(uint32_t), cudaMemcpyDefault));
  const double total_threads = double{1} * blocks * kThreads;

  const double fma =
      best_seconds([&] { multiply_add<<<blocks, kThreads>>>(kSteps, 0.5f, static_cast<float*>(memory)); });
  const double by_wgmma = wgmma_flops(gpu, values, static_cast<float*>(memory));
  const double matrices =
      best_seconds([&] { multiply_matrices<<<blocks, kThreads>>>(kSteps, values, static_cast<float*>(memory)); });
  const double reading = best_seconds([&] {
    read<<<blocks, kThreads>>>(static_cast<const uint4*>(memory), kBytes / 16, static_cast<uint32_t*>(memory));
  });
  const double copying = best_seconds([&] {
    require(cudaMemcpyAsync(static_cast<char*>(memory) + kBytes / 2, memory, kBytes / 2, cudaMemcpyDefault, nullptr));
  });
  const double fma_flops = total_threads * kSteps * kSums * 2 / fma;
  const double by_mma = total_threads / 32 * kSteps * kSums * (2.0 * 16 * 8 * 16) / matrices;
  std::printf(
      "{\"fma_f32_gflops\": %.1f, \"dot_bf16_gflops\": %.1f, \"read_gbytes_per_s\": %.1f, \"copy_gbytes_per_s\": %.1f, "
      "\"threads\": %d}\n",
      fma_flops / 1e9, std::max(by_wgmma, by_mma) / 1e9, kBytes / reading / 1e9, kBytes / copying / 1e9, threads);
  return 0;
}

}  // namespace
}  // namespace moe::bench

int main(int argc, char** argv) {
  int threads = 1;
  if (argc > 1) std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), threads);
  return moe::bench::run(threads);
}
