// A stable LSD radix sort of tokens by id, 8 bits per pass, two kernels per pass (Satish et al. 2009): count the digits
// of each tile, then write its tokens after those of lower digits and of earlier tiles. Integers only, so the order is
// exact.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Embedding*'.
// Time: ./panamoe bench train-step --device cuda.
#include "cuda/embedding/embedding_order.h"

#include <limits>

#include "core/check.h"
#include "cuda/kernel/reduce.h"

namespace moe::cuda {
namespace {

constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;
constexpr int kThreads = kDigits;  // one thread per digit in the sums over digits
constexpr int kWarps = kThreads / kWarpLanes;
constexpr int kRounds = 4;  // tokens per thread
constexpr int kTile = kThreads * kRounds;

// Input of a pass: the previous pass's order; null in the first pass.
struct Pass {
  const int32_t* ids;
  const int32_t* order;
  int64_t tokens;
  int64_t rows;
  int shift;

  __device__ int32_t token(int64_t p) const { return order == nullptr ? static_cast<int32_t>(p) : order[p]; }
  __device__ int digit(int32_t token, Refusal refusal) const {
    int64_t id = ids[token];
    if (id < 0 || id >= rows) {
      refusal.raise();
      id = rows;
    }
    return static_cast<int>(id >> shift & (kDigits - 1));
  }
};

// Counts the digits of each tile: counts[tile][digit].
__global__ void __launch_bounds__(kThreads) count_kernel(Pass pass, int32_t* counts, Refusal refusal) {
  MOE_SHARED(int32_t, count, [kDigits]);
  count[threadIdx.x] = 0;
  __syncthreads();
#pragma unroll
  for (int round = 0; round < kRounds; ++round) {
    const int64_t p = int64_t{blockIdx.x} * kTile + round * kThreads + threadIdx.x;
    if (p < pass.tokens) atomicAdd(&count[pass.digit(pass.token(p), refusal)], 1);
  }
  __syncthreads();
  counts[int64_t{blockIdx.x} * kDigits + threadIdx.x] = count[threadIdx.x];
}

// Writes each token to its sorted index. Warp w of a tile takes its w-th run of kRounds * 32 tokens.
__global__ void __launch_bounds__(kThreads)
    place_kernel(Pass pass, const int32_t* counts, int32_t* sorted, Refusal refusal) {
  // The warp's tokens with the digit; then the index of the first one.
  MOE_SHARED(int32_t, positions, [kWarps][kDigits]);
  MOE_SHARED(int32_t, warp_totals, [kWarps]);
  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int own = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int w = 0; w < kWarps; ++w) positions[w][own] = 0;
  __syncthreads();
  int32_t tokens[kRounds], ranks[kRounds];
  int digits[kRounds];
  const int64_t first = int64_t{blockIdx.x} * kTile + warp * kRounds * kWarpLanes + lane;
#pragma unroll
  for (int round = 0; round < kRounds; ++round) {
    const int64_t p = first + round * kWarpLanes;
    tokens[round] = p < pass.tokens ? pass.token(p) : 0;
    digits[round] = p < pass.tokens ? pass.digit(tokens[round], refusal) : kDigits;
    const unsigned same = __match_any_sync(kAllLanes, digits[round]);
    const int before = __popc(same & ((1u << lane) - 1));
    ranks[round] = digits[round] < kDigits ? positions[warp][digits[round]] + before : 0;
    __syncwarp();
    if (digits[round] < kDigits && before == 0) positions[warp][digits[round]] += __popc(same);
    __syncwarp();
  }

  // Tokens with this thread's digit: in all tiles, and in the tiles before this one.
  int32_t all = 0, earlier = 0;
#pragma unroll 8
  for (unsigned tile = 0; tile < gridDim.x; ++tile) {
    const int32_t count = counts[int64_t{tile} * kDigits + own];
    all += count;
    if (tile < blockIdx.x) earlier += count;
  }
  const int32_t below = warp_sum_up_to(all);  // tokens with this digit or a lower one of this warp's digits
  if (lane == kWarpLanes - 1) warp_totals[warp] = below;
  __syncthreads();
  int32_t position = below - all + earlier;
  for (int w = 0; w < warp; ++w) position += warp_totals[w];
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    const int32_t count = positions[w][own];
    positions[w][own] = position;
    position += count;
  }
  __syncthreads();
#pragma unroll
  for (int round = 0; round < kRounds; ++round) {
    if (digits[round] < kDigits) sorted[positions[warp][digits[round]] + ranks[round]] = tokens[round];
  }
}

}  // namespace

const int32_t* order_by_id(Launcher& launch, const int32_t* ids, int64_t tokens, int64_t rows) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (tokens > kMost) {
    invalid("there are ", tokens, " ids, this backend adds the gradients of at most ", kMost);
  }
  const auto tiles = static_cast<unsigned>(ceil_div(tokens, kTile));
  auto* counts = launch.take<int32_t>(int64_t{tiles} * kDigits);
  int32_t* const orders[] = {launch.take<int32_t>(tokens),
                             launch.take<int32_t>(tokens)};  // written by even and odd passes
  const int32_t* order = nullptr;
  for (int shift = 0; shift == 0 || rows >> shift > 0; shift += kDigitBits) {  // refused ids count as id `rows`
    int32_t* sorted = orders[shift / kDigitBits % 2];
    const Pass pass{ids, order, tokens, rows, shift};
    launch(count_kernel, tiles, kThreads, 0, pass, counts, launch.refusal());
    launch(place_kernel, tiles, kThreads, 0, pass, static_cast<const int32_t*>(counts), sorted, launch.refusal());
    order = sorted;
  }
  return order;
}

}  // namespace moe::cuda
