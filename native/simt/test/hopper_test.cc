// The emulation of TMA, mbarrier and wgmma computes what a GPU would, and reports mistakes that hang a GPU or give
// wrong numbers.
#include <cuda_bf16.h>

#include <array>
#include <vector>

#include "bench/wgmma_ceiling.h"
#include "cuda/kernel/ptx_hopper.h"
#include "simt/test/launches.h"

namespace simt {
namespace {

constexpr int kRows = 64, kMostColumns = 256, kDepth = 64, kPanelBytes = 64 * 64 * 2;
constexpr int kThreads = 128;
constexpr size_t kSharedBytes = 1024 + 5 * kPanelBytes;

enum class Mistake {
  kNone,
  kBarrierNotStarted,
  kBarrierNotFenced,
  kBarrierOverwritten,
  kTooManyArrivals,
  kTooManyBytes,
  kOtherParity,
  kNoWait,
  kPanelMoved,
  kWriteNotFenced,
  kWrittenUnderACopy,
  kRegistersNotFenced,
  kRegistersWritten,
  kPanelReused,
  kProductsNotWaited,
  kOneWarpLess,
  kOtherSwizzle,
};

uint64_t describe(const char* panel, uint64_t swizzle) {
  return (moe::cuda::shared_address(panel) & 0x3ffff) >> 4 | uint64_t{1024 >> 4} << 32 | swizzle << 62;
}

// d [64, columns] = a b^T for a [64, 64], transposed or not, and b [columns, 64].
template <int kColumns, bool kTransposed>
void multiply_kernel(CUtensorMap map_a, CUtensorMap map_b, Mistake mistake, float* d) {
  using namespace moe::cuda;
  MOE_SHARED(uint64_t, full);
  MOE_DYNAMIC_SHARED(char, shared);
  char* a = shared + (1024 - shared_address(shared) % 1024) % 1024;
  char* b = a + kPanelBytes;
  const auto makes = [&](Mistake which) { return mistake == which; };
  if (threadIdx.x == 0) {
    if (!makes(Mistake::kBarrierNotStarted)) start_barrier(&full, 1);
    if (!makes(Mistake::kBarrierNotFenced)) fence_barrier_starts();
    if (makes(Mistake::kBarrierOverwritten)) full ^= 1;
    if (makes(Mistake::kWrittenUnderACopy)) b[5] = 1;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    arrive_with_copies(&full, kPanelBytes + kColumns * 128 + (makes(Mistake::kTooManyBytes) ? 16 : 0));
    if (makes(Mistake::kTooManyArrivals)) arrive(&full);
    copy_box(a, map_a, 0, 0, 0, &full);
    copy_box(b, map_b, 0, 0, 0, &full);
  }
  if (!makes(Mistake::kNoWait)) wait(&full, makes(Mistake::kOtherParity) ? 1 : 0);
  __syncthreads();
  if (makes(Mistake::kWriteNotFenced) && threadIdx.x == 7) a[100] = 1;
  __syncthreads();
  float sums[kColumns / 8][4] = {};
  if (!makes(Mistake::kRegistersNotFenced)) begin_products();
  const uint64_t of_a = describe(a + (makes(Mistake::kPanelMoved) ? 128 : 0), 1);
  const uint64_t of_b = describe(b, makes(Mistake::kOtherSwizzle) ? 2 : 1);
  if (!makes(Mistake::kOneWarpLess) || threadIdx.x >= 32) {
    for (uint64_t k = 0; k < 4; ++k) {
      multiply_m64k16<kColumns, kTransposed>(sums, of_a + (k * (kTransposed ? 2048 : 32) >> 4), of_b + (k * 32 >> 4));
    }
    commit_products();
  }
  if (makes(Mistake::kRegistersWritten)) sums[0][1] = 1;
  if (makes(Mistake::kPanelReused)) {
    if (threadIdx.x == 0) {
      arrive_with_copies(&full, kPanelBytes);
      copy_box(a, map_a, 64, 0, 0, &full);  // zeros
    }
    wait(&full, 1);
  }
  if (makes(Mistake::kProductsNotWaited)) return;
  wait_products<0, kColumns>(sums);
  for (int i = 0; i < kColumns / 8; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
      const int row = warp * 16 + lane / 4 + j / 2 * 8, column = i * 8 + lane % 4 * 2 + j % 2;
      d[row * kColumns + column] = sums[i][j];
    }
  }
}

CUtensorMap describe_matrix(const __nv_bfloat16* data, uint64_t width, uint64_t lines, uint32_t box_lines = 64) {
  const cuuint64_t sizes[] = {width, lines, 1}, strides[] = {width * 2, width * lines * 2};
  const cuuint32_t box[] = {64, box_lines, 1}, steps[] = {1, 1, 1};
  CUtensorMap map{};
  EXPECT_EQ(cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<__nv_bfloat16*>(data), sizes,
                                   strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                   CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
            CUDA_SUCCESS);
  return map;
}

struct Problem {
  alignas(16) __nv_bfloat16 a[kRows * kDepth];
  alignas(16) __nv_bfloat16 b[kMostColumns * kDepth];
  std::vector<float> d = std::vector<float>(kRows * kMostColumns);

  Problem() {
    for (int i = 0; i < kRows * kDepth; ++i) a[i] = __float2bfloat16_rn(static_cast<float>(i * 7 % 13 - 6));
    for (int i = 0; i < kMostColumns * kDepth; ++i) b[i] = __float2bfloat16_rn(static_cast<float>(i * 5 % 11 - 4));
  }

  template <int kColumns, bool kTransposed>
  cudaError_t multiply(Mistake mistake = Mistake::kNone) {
    return run(kThreads, kSharedBytes, multiply_kernel<kColumns, kTransposed>, describe_matrix(a, 64, 64),
               describe_matrix(b, kDepth, kColumns, kColumns), mistake, d.data());
  }

  template <int kColumns, bool kTransposed>
  int wrong() const {
    int count = 0;
    for (int row = 0; row < kRows; ++row) {
      for (int column = 0; column < kColumns; ++column) {
        float want = 0;
        for (int k = 0; k < kDepth; ++k) {
          const __nv_bfloat16 of_a = kTransposed ? a[k * kRows + row] : a[row * kDepth + k];
          want += __bfloat162float(of_a) * __bfloat162float(b[column * kDepth + k]);
        }
        count += d[static_cast<size_t>(row * kColumns + column)] != want;
      }
    }
    return count;
  }
};

template <int kColumns, bool kTransposed>
void expect_product() {
  Problem problem;
  for (int i = 0; i < kLaunches; ++i) {
    ASSERT_EQ((problem.multiply<kColumns, kTransposed>()), cudaSuccess);
    EXPECT_EQ((problem.wrong<kColumns, kTransposed>()), 0) << kColumns << ", " << kTransposed;
  }
}

TEST(HopperTest, AWarpgroupMultipliesPanelsThatTmaHasCopied) {
  expect_product<8, false>();
  expect_product<8, true>();
  expect_product<16, false>();
  expect_product<32, true>();
  expect_product<64, false>();
  expect_product<128, true>();
  expect_product<256, false>();
  expect_product<256, true>();
}

// Launches until a failure and returns its message; empty if all launches succeed.
std::string failure(Mistake mistake) {
  std::string text;
  for (int i = 0; i < kLaunches && text.empty(); ++i) {
    std::thread([&] {
      Problem problem;
      if (problem.multiply<128, true>(mistake) != cudaSuccess) text = cudaGetErrorString(cudaDeviceSynchronize());
    }).join();
  }
  return text;
}

TEST(HopperTest, MistakesAreReported) {
  const std::pair<Mistake, const char*> reports[] = {
      {Mistake::kBarrierNotStarted, "an mbarrier is used that has not started"},
      {Mistake::kBarrierNotFenced, "an mbarrier that was started without fence.mbarrier_init"},
      {Mistake::kBarrierOverwritten, "an mbarrier is used that was overwritten"},
      {Mistake::kTooManyArrivals, "more threads arrive at an mbarrier than it was started for"},
      {Mistake::kTooManyBytes, "waits for an mbarrier's phase of parity 0, which lacks 0 arrivals and 16 bytes"},
      {Mistake::kPanelMoved, "wgmma of a panel that begins within the swizzle's period"},
      {Mistake::kWriteNotFenced, "wgmma of shared memory that threads wrote without fence.proxy.async"},
      {Mistake::kWrittenUnderACopy, "TMA of shared memory that threads wrote without fence.proxy.async"},
      {Mistake::kRegistersNotFenced, "wgmma of registers that were written since the last wgmma.fence"},
      {Mistake::kRegistersWritten, "a thread wrote registers of a wgmma in flight"},
      {Mistake::kProductsNotWaited, "has ended with wgmma in flight"},
      {Mistake::kOneWarpLess, "warps of a warpgroup have issued different numbers of wgmma"},
      {Mistake::kOtherSwizzle, "wgmma of a panel without the 128-byte swizzle"},
  };
  EXPECT_EQ(failure(Mistake::kNone), "");
  for (const auto& [mistake, report] : reports) {
    const std::string text = failure(mistake);
    EXPECT_NE(text.find(report), std::string::npos) << text << ", expected " << report;
  }
}

// The number of launches that gave wrong numbers.
int wrong_launches(Mistake mistake) {
  int wrong = 0;
  for (int i = 0; i < kLaunches; ++i) {
    std::thread([&] {
      Problem problem;
      wrong += problem.multiply<128, true>(mistake) != cudaSuccess || problem.wrong<128, true>() > 0;
    }).join();
  }
  return wrong;
}

TEST(HopperTest, PanelsThatAreReadOrReusedTooEarlyGiveWrongNumbers) {
  EXPECT_EQ(wrong_launches(Mistake::kNone), 0);
  EXPECT_GT(wrong_launches(Mistake::kNoWait), 0);
  EXPECT_GT(wrong_launches(Mistake::kOtherParity), 0);
  EXPECT_GT(wrong_launches(Mistake::kPanelReused), 0);
}

__global__ void copy_kernel(const __grid_constant__ CUtensorMap map, int x, int y, uint16_t* box) {
  using namespace moe::cuda;
  MOE_SHARED(uint64_t, full);
  MOE_DYNAMIC_SHARED(char, shared);
  char* panel = shared + (1024 - shared_address(shared) % 1024) % 1024;
  start_barrier(&full, 1);
  fence_barrier_starts();
  arrive_with_copies(&full, kPanelBytes);
  copy_box(panel, map, x, y, 0, &full);
  wait(&full, 0);
  for (int line = 0; line < 64; ++line) {
    for (int i = 0; i < 64; ++i) {  // chunks of 16 bytes of a line are swapped by the line's number
      box[line * 64 + i] = reinterpret_cast<const uint16_t*>(panel)[line * 64 + ((i / 8) ^ (line % 8)) * 8 + i % 8];
    }
  }
}

TEST(HopperTest, ABoxThatOverhangsItsMatrixIsFilledWithZeros) {
  alignas(16) __nv_bfloat16 x[40 * 72];
  for (int i = 0; i < 40 * 72; ++i) x[i].bits = static_cast<uint16_t>(i + 1);
  std::vector<uint16_t> box(64 * 64);
  const CUtensorMap map = describe_matrix(x, 72, 40);
  for (const auto& [column, line] : {std::pair{0, 0}, {16, 8}, {-8, -3}, {64, 39}}) {
    ASSERT_EQ(run(1, kSharedBytes, copy_kernel, map, column, line, box.data()), cudaSuccess);
    for (int i = 0; i < 64 * 64; ++i) {
      const int at = column + i % 64, of = line + i / 64;
      const bool inside = at >= 0 && at < 72 && of >= 0 && of < 40;
      ASSERT_EQ(box[static_cast<size_t>(i)], inside ? of * 72 + at + 1 : 0) << at << ", " << of;
    }
  }
}

__global__ void overwrite_kernel(const __grid_constant__ CUtensorMap map, uint16_t* seen) {
  using namespace moe::cuda;
  MOE_SHARED(uint64_t, full);
  MOE_DYNAMIC_SHARED(char, shared);
  char* panel = shared + (1024 - shared_address(shared) % 1024) % 1024;
  start_barrier(&full, 1);
  fence_barrier_starts();
  for (int parity = 0; parity < 2; ++parity) {
    arrive_with_copies(&full, kPanelBytes);
    copy_box(panel, map, 0, 0, 0, &full);
    seen[2 * parity] = *reinterpret_cast<const uint16_t*>(panel);
    wait(&full, parity);
    seen[2 * parity + 1] = *reinterpret_cast<const uint16_t*>(panel);
  }
}

TEST(HopperTest, APanelHoldsNothingWhileACopyToItIsInFlight) {
  alignas(16) static __nv_bfloat16 x[64 * 64];
  x[0].bits = 5;
  uint16_t seen[4] = {};
  for (int i = 0; i < kLaunches; ++i) {
    ASSERT_EQ(run(1, kSharedBytes, overwrite_kernel, describe_matrix(x, 64, 64), seen), cudaSuccess);
    ASSERT_EQ(std::to_array(seen), (std::array<uint16_t, 4>{0xffff, 5, 0xffff, 5}));
  }
}

// Every thread writes ones into the panels of a [64, 64] and b [64, 64]; all fence, or one.
__global__ void fence_kernel(bool all_fence, float* d) {
  using namespace moe::cuda;
  MOE_DYNAMIC_SHARED(char, shared);
  char* a = shared + (1024 - shared_address(shared) % 1024) % 1024;
  for (int i = static_cast<int>(threadIdx.x); i < kPanelBytes; i += kThreads)
    reinterpret_cast<uint16_t*>(a)[i] = 0x3f80;
  if (all_fence || threadIdx.x == 9) fence_async_proxy();
  __syncthreads();
  float sums[8][4] = {};
  begin_products();
  multiply_m64k16<64, false>(sums, describe(a, 1), describe(a + kPanelBytes, 1));
  commit_products();
  wait_products<0, 64>(sums);
  d[threadIdx.x] = sums[0][0];
}

TEST(HopperTest, AFencePublishesOnlyItsThreadsWrites) {
  std::vector<float> d(kThreads);
  for (int i = 0; i < kLaunches; ++i) {
    ASSERT_EQ(run(kThreads, kSharedBytes, fence_kernel, true, d.data()), cudaSuccess);
    ASSERT_EQ(d, std::vector<float>(kThreads, 16));
  }
  EXPECT_NE(failure_of([&] {
              return run(kThreads, kSharedBytes, fence_kernel, false, d.data());
            }).find("wgmma of shared memory that threads wrote without fence.proxy.async"),
            std::string::npos);
}

template <int kOfFirst, int kOfSecond>
__global__ void registers_kernel(unsigned first) {
  if (threadIdx.x < first) {
    moe::cuda::give_registers<kOfFirst>();
  } else {
    moe::cuda::take_registers<kOfSecond>();
  }
}

TEST(HopperTest, WarpgroupsShareTheRegistersOfTheirLaunch) {
  EXPECT_EQ(run(384, 0, registers_kernel<40, 232>, 128u), cudaSuccess);  // 384 threads have 168 each at first
  EXPECT_NE(failure_of([] {
              return run(384, 0, registers_kernel<40, 240>, 128u);
            }).find("setmaxnreg: the threads have 66560 registers, 64512 were launched"),
            std::string::npos);
  EXPECT_NE(failure_of([] {
              return run(384, 0, registers_kernel<40, 232>, 96u);
            }).find("setmaxnreg by a part of a warpgroup"),
            std::string::npos);
}

TEST(HopperTest, MatricesThatTmaCannotReadAreRefused) {
  alignas(16) static __nv_bfloat16 x[64 * 64];
  const auto encode = [](void* data, cuuint64_t width, cuuint64_t stride, cuuint32_t box_width, cuuint32_t box_lines) {
    const cuuint64_t sizes[] = {width, 64, 1}, strides[] = {stride, stride * 64};
    const cuuint32_t box[] = {box_width, box_lines, 1}, steps[] = {1, 1, 1};
    CUtensorMap map{};
    return cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, data, sizes, strides, box, steps,
                                  CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                  CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  };
  EXPECT_EQ(encode(x, 64, 128, 64, 64), CUDA_SUCCESS);
  EXPECT_EQ(encode(x + 1, 64, 128, 64, 64), CUDA_ERROR_INVALID_VALUE) << "the address";
  EXPECT_EQ(encode(x, 60, 120, 64, 64), CUDA_ERROR_INVALID_VALUE) << "the stride";
  EXPECT_EQ(encode(x, 0, 128, 64, 64), CUDA_ERROR_INVALID_VALUE) << "an empty matrix";
  EXPECT_EQ(encode(x, 64, 128, 128, 64), CUDA_ERROR_INVALID_VALUE) << "a box wider than the swizzle";
  EXPECT_EQ(encode(x, 64, 128, 64, 257), CUDA_ERROR_INVALID_VALUE) << "a box of too many lines";
}

// The ceilings bench assumes these panels when it counts operations.
TEST(HopperTest, TheCeilingsProgramMultipliesItsPanels) {
  using moe::bench::Panels;
  constexpr int kSteps = 2, kRows = Panels::kGroups * Panels::kRows;
  std::vector<__nv_bfloat16> values(Panels::kValues);  // [rows of both groups, then columns; 64], swizzled
  for (size_t i = 0; i < values.size(); ++i)
    values[i].bits = static_cast<uint16_t>(0x3f00 + i * 40503 % 256 + i % 3 / 2 * 0x8000);
  const auto value = [&](int line, int k) {
    return __bfloat162float(values[static_cast<size_t>(line * 64 + ((k / 8) ^ (line % 8)) * 8 + k % 8)]);
  };
  std::vector<float> sums(Panels::kThreads * Panels::kSums);
  const auto* pairs = reinterpret_cast<const uint32_t*>(values.data());
  ASSERT_EQ(run(Panels::kThreads, Panels::kSharedBytes, moe::bench::multiply_panels, kSteps, pairs, sums.data()),
            cudaSuccess);
  for (int i = 0; i < kRows * Panels::kColumns; ++i) {
    const int row = i / Panels::kColumns, column = i % Panels::kColumns;
    float sum = 0;
    for (int k = 0; k < kSteps * 64; ++k) sum += value(row, k % 64) * value(kRows + column, k % 64);
    const int thread = row / 16 * 32 + row % 8 * 4 + column % 8 / 2,
              held = column / 8 * 4 + row % 16 / 8 * 2 + column % 2;
    ASSERT_NEAR(sums[static_cast<size_t>(thread * Panels::kSums + held)], sum, 1e-3) << row << ", " << column;
  }
}

}  // namespace
}  // namespace simt
