// Block copies between the layouts of the hierarchical and the coordinated all-to-all. Formula: cpu/exchange.cc. Rows
// of a block are contiguous in x and y, so a block is a run of bytes. Runs are cut into tiles, one per block of
// threads; the table of runs is a kernel parameter, so nothing is copied to the GPU first.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Exchange*'.
#include "core/check.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kEach = 4;  // loads that a thread has in flight
constexpr int kTile = kThreads * kEach;

// Runs in vectors. Run i has tiles first_tile[i] to first_tile[i + 1].
struct Runs {
  int64_t from[MOE_MAX_BLOCKS], to[MOE_MAX_BLOCKS], length[MOE_MAX_BLOCKS];
  int first_tile[MOE_MAX_BLOCKS + 1];
  int count;

  // `width`: vectors per row.
  Runs(const moe_blocks& blocks, int64_t width) : count(0) {
    first_tile[0] = 0;
    for (int i = 0; i < blocks.count; ++i) {
      if (blocks.rows[i] == 0) continue;
      from[count] = blocks.from[i] * width;
      to[count] = blocks.to[i] * width;
      length[count] = blocks.rows[i] * width;
      first_tile[count + 1] = first_tile[count] + static_cast<int>(ceil_div(length[count], kTile));
      ++count;
    }
  }
};
static_assert(sizeof(Runs) <= 4000);  // a kernel's parameters have 4 KB

// Bound by bytes: reads and writes each byte once.
template <typename Vector>
__global__ void __launch_bounds__(kThreads) block_copy_kernel(const Vector* x, Vector* y, const Runs runs) {
  const int tile = static_cast<int>(blockIdx.x);
  int low = 0, high = runs.count;  // low becomes the tile's run
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (runs.first_tile[middle] <= tile)
      low = middle;
    else
      high = middle;
  }
  const int64_t begin = int64_t{tile - runs.first_tile[low]} * kTile + threadIdx.x, length = runs.length[low];
  const Vector* source = x + runs.from[low];
  Vector* target = y + runs.to[low];
  Vector held[kEach];
#pragma unroll
  for (int k = 0; k < kEach; ++k) {
    if (begin + k * kThreads < length) held[k] = source[begin + k * kThreads];
  }
#pragma unroll
  for (int k = 0; k < kEach; ++k) {
    if (begin + k * kThreads < length) target[begin + k * kThreads] = held[k];
  }
}

}  // namespace

void block_copy(Stream& stream, const moe_blocks& blocks, Tensor x, Tensor y) {
  Launcher launch(stream);
  const int64_t bytes = row_bytes(x);
  const auto run = [&](auto vector) {
    using Vector = decltype(vector);
    const Runs runs(blocks, bytes / static_cast<int64_t>(sizeof(Vector)));
    launch(block_copy_kernel<Vector>, runs.first_tile[runs.count], kThreads, 0, static_cast<const Vector*>(x.data),
           static_cast<Vector*>(y.data), runs);
  };
  const uint64_t together =
      reinterpret_cast<uintptr_t>(x.data) | reinterpret_cast<uintptr_t>(y.data) | static_cast<uint64_t>(bytes);
  if (together % sizeof(uint4) == 0) {
    run(uint4{});
  } else if (together % sizeof(uint32_t) == 0) {
    run(uint32_t{});
  } else {
    run(uint8_t{});
  }
}

}  // namespace moe::cuda
