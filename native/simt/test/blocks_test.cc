// Blocks of a grid interleave, each with shared memory of its own that starts full of NaN.
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "cuda/kernel/last_block.h"
#include "simt/test/launches.h"

namespace simt {
namespace {

constexpr int kBlocks = 12, kThreads = 64;

template <typename... Parameters, typename... Arguments>
cudaError_t run_blocks(size_t shared_bytes, void (*kernel)(Parameters...), Arguments&&... arguments) {
  cudaLaunchConfig_t config;
  config.gridDim = kBlocks;
  config.blockDim = kThreads;
  config.dynamicSmemBytes = shared_bytes;
  return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

TEST(BlocksTest, SharedMemoryStartsUnwrittenInEveryBlock) {
  void (*kernel)(float*) = [](float* y) {
    MOE_SHARED(float, variable);
    MOE_SHARED(float, table, [2]);
    MOE_DYNAMIC_SHARED(float, dynamic);
    const bool writes = blockIdx.x % 2 == 0;
    if (threadIdx.x == 0 && writes) variable = table[1] = dynamic[0] = 1;
    __syncthreads();
    if (threadIdx.x == 1) y[blockIdx.x] = variable + table[1] + dynamic[0];
    if (threadIdx.x == 2 && !writes) y[kBlocks + blockIdx.x] = table[1];
  };
  std::vector<float> y(2 * kBlocks);
  for (int i = 0; i < kLaunches; ++i) {
    ASSERT_EQ(run_blocks(sizeof(float), kernel, y.data()), cudaSuccess);
    for (size_t block = 0; block < kBlocks; ++block) {
      EXPECT_EQ(std::isnan(y[block]), block % 2 == 1) << "block " << block;
      EXPECT_EQ(std::isnan(y[kBlocks + block]), block % 2 == 1) << "block " << block;
    }
  }
}

enum class Mistake {
  kNone,
  kNoBarrier,
  kNoFenceBefore,
  kNoFenceAfter,
  kCountsOneLess,
  kTicketBeforeTheWrites,
};

// is_last_block of cuda/kernel/last_block.h, with a mistake.
__device__ bool is_last(unsigned* ticket, unsigned blocks, Mistake mistake) {
  MOE_SHARED(bool, last);
  if (mistake != Mistake::kNoBarrier) __syncthreads();
  if (threadIdx.x == 0) {
    if (mistake != Mistake::kNoFenceBefore) __threadfence();
    last = atomicInc(ticket, blocks - 1) == (mistake == Mistake::kCountsOneLess ? blocks - 2 : blocks - 1);
    if (mistake != Mistake::kNoFenceAfter) __threadfence();
  }
  __syncthreads();
  return last;
}

// Every thread writes a part; the last block adds them.
__global__ void sum_kernel(Mistake mistake, unsigned* ticket, float* parts, float* sum) {
  const auto write = [&] { parts[blockIdx.x * kThreads + threadIdx.x] = 1; };
  const bool late = mistake == Mistake::kTicketBeforeTheWrites;
  if (!late) write();
  const bool last =
      mistake == Mistake::kNone ? moe::cuda::is_last_block(ticket, kBlocks) : is_last(ticket, kBlocks, mistake);
  if (late) write();
  __syncthreads();
  if (last && threadIdx.x == 0) *sum = std::accumulate(parts, parts + kBlocks * kThreads, 0.0f);
}

// Launches that gave a wrong sum; `failure` receives a launch's failure.
int wrong_sums(Mistake mistake, std::string& failure) {
  int wrong = 0;
  std::thread([&] {
    for (int i = 0; i < 5 * kLaunches && failure.empty(); ++i) {
      std::vector<float> parts(kBlocks * kThreads, NAN);
      unsigned ticket = 0;
      float sum = NAN;
      const cudaError_t error = run_blocks(0, sum_kernel, mistake, &ticket, parts.data(), &sum);
      if (error != cudaSuccess) failure = cudaGetErrorString(error);
      wrong += sum != kBlocks * kThreads || ticket != 0;
    }
  }).join();
  return wrong;
}

TEST(BlocksTest, TheLastBlockSeesAllOthersOnlyWithItsFencesBarrierAndCount) {
  std::string failure;
  EXPECT_EQ(wrong_sums(Mistake::kNone, failure), 0) << failure;
  EXPECT_GT(wrong_sums(Mistake::kNoBarrier, failure), 0);
  EXPECT_GT(wrong_sums(Mistake::kCountsOneLess, failure), 0);
  EXPECT_EQ(failure, "");
  wrong_sums(Mistake::kNoFenceBefore, failure);
  EXPECT_NE(failure.find("atomicInc without __threadfence before it"), std::string::npos) << failure;
  failure.clear();
  wrong_sums(Mistake::kNoFenceAfter, failure);
  EXPECT_NE(failure.find("atomicInc without __threadfence after it"), std::string::npos) << failure;
}

// Only because blocks interleave: one that has taken its ticket and not yet written must stop.
TEST(BlocksTest, ATicketBeforeTheWritesGivesAWrongSum) {
  std::string failure;
  EXPECT_GT(wrong_sums(Mistake::kTicketBeforeTheWrites, failure), 0);
  EXPECT_EQ(failure, "");
}

TEST(BlocksTest, BlocksGoOnBetweenAtomicOperations) {
  void (*kernel)(unsigned*, bool*) = [](unsigned* count, bool* torn) {
    if (threadIdx.x != 0) return;
    const unsigned before = *count;
    if (atomicAdd(count, 1u) != before) *torn = true;
  };
  unsigned count = 0;
  bool torn = false;
  for (int i = 0; i < kLaunches; ++i) ASSERT_EQ(run_blocks(0, kernel, &count, &torn), cudaSuccess);
  EXPECT_TRUE(torn);
  EXPECT_EQ(count, unsigned{kLaunches * kBlocks});
}

template <int kBytes>
__global__ void big_kernel() {
  MOE_SHARED(unsigned char, big, [kBytes]);
  big[threadIdx.x] = 1;
}

TEST(BlocksTest, StaticAndDynamicSharedMemoryTogetherHaveALimit) {
  EXPECT_EQ(run_blocks(0, big_kernel<48 << 10>), cudaSuccess);
  EXPECT_EQ(run_blocks(1 << 10, big_kernel<47 << 10>), cudaSuccess);
  EXPECT_NE(failure_of([] {
              return run_blocks(0, big_kernel<(48 << 10) + 1>);
            }).find("with big the block has 49153 bytes of static and 0 of dynamic shared memory, more than 49152"),
            std::string::npos);
  EXPECT_NE(failure_of([] {
              return run_blocks((1 << 10) + 1, big_kernel<47 << 10>);
            }).find("48128 bytes of static and 1025 of dynamic shared memory, more than 49152"),
            std::string::npos);
  // A kernel that has asked for more has the GPU's limit for both.
  const auto run_asking = [](size_t bytes) {
    EXPECT_EQ(cudaFuncSetAttribute(reinterpret_cast<const void*>(&big_kernel<1 << 10>),
                                   cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
              cudaSuccess);
    return run_blocks(bytes, big_kernel<1 << 10>);
  };
  EXPECT_EQ(run_asking(162 << 10), cudaSuccess);
  EXPECT_NE(failure_of([&] { return run_asking((162 << 10) + 1); }).find("more than 166912"), std::string::npos);
}

TEST(BlocksTest, ClustersAreRefused) {
  void (*kernel)() = [] {};
  cudaLaunchAttribute cluster{cudaLaunchAttributeClusterDimension};
  cudaLaunchConfig_t config;
  config.attrs = &cluster;
  config.numAttrs = 1;
  EXPECT_EQ(failure_of([&] { return cudaLaunchKernelEx(&config, kernel); }),
            "a launch attribute: the emulation has no clusters of blocks");
}

__global__ void overrun_kernel(int at_variable, int at_dynamic) {
  MOE_SHARED(unsigned char, before, [24]);
  MOE_SHARED(unsigned char, variable, [40]);
  MOE_DYNAMIC_SHARED(unsigned char, dynamic);
  if (threadIdx.x != 5) return;
  unsigned char* volatile of_variable = variable, * volatile of_dynamic = dynamic;
  before[0] = of_variable[at_variable] = of_dynamic[at_dynamic] = 1;
}

TEST(BlocksDeathTest, AnAccessOutsideSharedMemoryIsSeen) {
  EXPECT_EQ(run_blocks(40, overrun_kernel, 39, 39), cudaSuccess);
  const std::pair<int, int> outside[] = {{40, 0}, {-1, 0}, {0, 40}, {0, -1}};
  for (const auto& [variable, dynamic] : outside) {
#if defined(__SANITIZE_ADDRESS__)
    EXPECT_DEATH(run_blocks(40, overrun_kernel, variable, dynamic), "use-after-poison");
#else
    const std::string text = failure_of([&] { return run_blocks(40, overrun_kernel, variable, dynamic); });
    EXPECT_NE(text.find(variable == 0 ? "a thread wrote outside dynamic shared memory"
                                      : "a thread wrote outside the shared variable variable"),
              std::string::npos)
        << text;
#endif
  }
}

}  // namespace
}  // namespace simt
