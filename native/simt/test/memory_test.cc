// Only kernels can access an emulated GPU's memory.
#include <cmath>

#include "simt/test/launches.h"

namespace simt {
namespace {

__global__ void count_kernel(int* memory) { memory[threadIdx.x] = static_cast<int>(threadIdx.x); }

class MemoryTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&memory), kBytes), cudaSuccess); }
  void TearDown() override { EXPECT_EQ(cudaFree(memory), cudaSuccess); }

  static constexpr size_t kBytes = 128;
  int* memory = nullptr;
};

TEST_F(MemoryTest, KernelsAndCopiesReachIt) {
  int host[32] = {};
  ASSERT_EQ(run(32, 0, count_kernel, memory), cudaSuccess);
  ASSERT_EQ(cudaMemcpy(host, memory, kBytes, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(host[31], 31);
}

using MemoryDeathTest = MemoryTest;

TEST_F(MemoryDeathTest, TheHostDoesNot) {
  ASSERT_EQ(run(32, 0, count_kernel, memory), cudaSuccess);
  volatile int* from_the_host = memory;
  EXPECT_DEATH(static_cast<void>(from_the_host[0]), "");
  EXPECT_DEATH(from_the_host[31] = 1, "");
}

TEST_F(MemoryTest, IsFullOfNanAtFirst) {
  float host[32] = {};
  ASSERT_EQ(cudaMemcpy(host, memory, kBytes, cudaMemcpyDeviceToHost), cudaSuccess);
  for (float value : host) EXPECT_TRUE(std::isnan(value));
}

TEST_F(MemoryTest, BlocksAreApartAndGivenBack) {
  size_t before = 0, between = 0, after = 0, total = 0;
  void *second = nullptr, *third = nullptr, *again = nullptr;
  ASSERT_EQ(cudaMemGetInfo(&before, &total), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&second, 1000), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&third, 1000), cudaSuccess);
  EXPECT_GE(std::abs(static_cast<char*>(third) - static_cast<char*>(second)), 1000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(third) % 256, 0u);
  ASSERT_EQ(cudaMemGetInfo(&between, &total), cudaSuccess);
  EXPECT_LE(between, before - 2000);
  ASSERT_EQ(cudaFree(second), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&again, 900), cudaSuccess);
  EXPECT_EQ(again, second) << "the first gap is taken";
  EXPECT_EQ(cudaFree(again), cudaSuccess);
  EXPECT_EQ(cudaFree(third), cudaSuccess);
  ASSERT_EQ(cudaMemGetInfo(&after, &total), cudaSuccess);
  EXPECT_EQ(after, before);
  EXPECT_EQ(cudaMalloc(&again, total + 1), cudaErrorMemoryAllocation);
}

}  // namespace
}  // namespace simt
