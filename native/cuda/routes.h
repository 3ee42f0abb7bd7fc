// The gate's table of routes on the device, as dispatch and combine read it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/routes.h"
#include "cuda/floats.h"
#include "cuda/launch.h"

namespace moe::cuda {

class Routes {
 public:
  // The table leads to `rows`.
  Routes(const moe_routes& routes, Tensor rows)
      : choices(static_cast<int>(routes.expert->shape[1])),
        experts_(static_cast<int>(routes.offsets->shape[0] - 1)),
        rows_(rows.shape[0]),
        expert_(data<int>(routes.expert)),
        position_(data<int>(routes.position)),
        offsets_(data<int>(routes.offsets)) {}

  // The row of choice i % choices of token i / choices, or -1 where the route was dropped or is refused.
  __device__ int row(int64_t i, Refusal refusal) const {
    const int e = expert_[i];
    if (e == -1) return -1;
    if (e >= 0 && e < experts_) {
      const int64_t begin = offsets_[e], row = begin + position_[i];
      if (begin >= 0 && row >= begin && row < offsets_[e + 1] && row < rows_) return static_cast<int>(row);
    }
    refusal.raise();
    return -1;
  }

  // By the first block of a grid: offsets rise from 0 and stay within the rows, also those that no route reads.
  __device__ void check_offsets(Refusal refusal) const {
    if (blockIdx.x != 0) return;
    const int threads = blockDim.x * blockDim.y;
    for (int e = threadIdx.y * blockDim.x + threadIdx.x; e <= experts_; e += threads) {
      if (e == 0 ? offsets_[0] != 0 : offsets_[e] < offsets_[e - 1] || offsets_[e] > rows_) refusal.raise();
    }
  }

  const int choices;

 private:
  const int experts_;
  const int64_t rows_;
  const int* expert_;
  const int* position_;
  const int* offsets_;
};

// Keeps the host's checks of the table that the coming kernel reads.
inline void keep_route_checks(CudaStream& stream, const moe_routes& routes, Tensor rows) {
  stream.keep_checks(
      [expert = *routes.expert, position = *routes.position, offsets = *routes.offsets, rows = rows.shape[0]] {
        const int64_t experts = offsets.shape[0] - 1;
        std::vector<int32_t> starts(static_cast<size_t>(experts + 1));
        check_offset_values(offsets, rows, starts.data());
        std::vector<uint64_t> taken(static_cast<size_t>(route_words(starts.back())));
        check_route_values(expert, position, starts.data(), experts, taken.data());
      });
}

// A block of kRowThreads deals with some tokens: threadIdx.y is the token, and its lanes, threadIdx.x, share the row.
constexpr int kRowThreads = 256;
constexpr int kFewestLanes = 8;
constexpr int kMostTokens = kRowThreads / kFewestLanes;  // of a block

// The block for rows of so many packs.
inline dim3 row_block(int64_t packs) {
  unsigned lanes = kFewestLanes;
  while (lanes < kRowThreads && lanes < packs) lanes *= 2;
  return {lanes, kRowThreads / lanes};
}

// Blocks for all tokens, one at least: it checks the table.
inline unsigned token_blocks(int64_t tokens, dim3 block) {
  return static_cast<unsigned>(std::max<int64_t>(ceil_div(tokens, block.y), 1));
}

// The rows of the block's tokens, read and checked once. `rows` is shared memory of kMostTokens * kMostChoices numbers;
// a barrier must follow. visit(route of the block, route of all) is called for each.
template <typename Visit>
__device__ __forceinline__ void load_routes(const Routes& routes, int64_t tokens, int* rows, Refusal refusal,
                                            Visit&& visit) {
  const int64_t first = int64_t{blockIdx.x} * blockDim.y * routes.choices;
  const int64_t count = tokens * routes.choices;
  const int here = blockDim.y * routes.choices;
  for (int i = threadIdx.y * blockDim.x + threadIdx.x; i < here && first + i < count; i += kRowThreads) {
    rows[i] = routes.row(first + i, refusal);
    visit(i, first + i);
  }
}

// Elements i and following of a token's rows, in choice order: calls visit(choice, x), x being 0 where the token has no
// such row. `sources` are its rows, -1 for none. The loads of `together` rows are under way at once; where they do not
// divide the choices, visit is called past the last one as well.
template <typename Access, int together, typename Visit>
__device__ __forceinline__ void visit_rows(const Floats& rows, const int* sources, int choices, int64_t i,
                                           int64_t width, Visit&& visit) {
  for (int first = 0; first < choices; first += together) {
    float x[together][Access::count] = {};
#pragma unroll
    for (int j = 0; j < together; ++j) {
      const int row = first + j < choices ? sources[first + j] : -1;
      if (row >= 0) rows.load<Access>(row, i, width, x[j]);
    }
#pragma unroll
    for (int j = 0; j < together; ++j) visit(first + j, x[j]);
  }
}

}  // namespace moe::cuda
