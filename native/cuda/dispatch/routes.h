// The gate's table of routes on the GPU, for dispatch and combine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/routes.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/launcher.h"
#include "cuda/kernel/floats.h"

namespace moe::cuda {

class Routes {
 public:
  // Routes to the rows of `rows`.
  Routes(const moe_routes& routes, Tensor rows)
      : choices(static_cast<int>(routes.expert->shape[1])),
        experts_(static_cast<int>(routes.offsets->shape[0] - 1)),
        rows_(rows.shape[0]),
        expert_(data<int>(routes.expert)),
        position_(data<int>(routes.position)),
        offsets_(data<int>(routes.offsets)) {}

  // The row of choice i % choices of token i / choices; -1 if the route was dropped, or was illegal and refused.
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

  // Refuses offsets that do not rise from 0 to at most the number of rows. The first block of a grid checks all of
  // them, even those that no route reads.
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

// Keeps the host's checks of the table of routes for the next kernel.
inline void keep_route_checks(CudaStream& stream, const moe_routes& routes, Tensor rows) {
  stream.keep_checks(
      [expert = *routes.expert, position = *routes.position, offsets = *routes.offsets, rows = rows.shape[0]] {
        const int64_t experts = offsets.shape[0] - 1;
        std::vector<int32_t> starts(static_cast<size_t>(experts + 1));
        check_offset_values(HostTensor(offsets), rows, starts.data());
        std::vector<uint64_t> taken(static_cast<size_t>(route_words(starts.back())));
        check_route_values(HostTensor(expert), HostTensor(position), starts.data(), experts, taken.data());
      });
}

// A block of kRowThreads takes several tokens: threadIdx.y is the token, and the threads of one threadIdx.y share its
// row.
constexpr int kRowThreads = 256;
constexpr int kFewestLanes = 8;                          // threads of a row, at least
constexpr int kMostTokens = kRowThreads / kFewestLanes;  // tokens of a block

// The shape of a block for rows of `vectors` vectors.
inline dim3 row_block(int64_t vectors) {
  unsigned lanes = kFewestLanes;
  while (lanes < kRowThreads && lanes < vectors) lanes *= 2;
  return {lanes, kRowThreads / lanes};
}

// Blocks for all tokens; at least one, to check the offsets.
inline unsigned token_blocks(int64_t tokens, dim3 block) {
  return static_cast<unsigned>(std::max<int64_t>(ceil_div(tokens, block.y), 1));
}

// Reads and checks the rows of the block's tokens into `rows`, shared memory of kMostTokens * kMostChoices numbers; a
// barrier must follow. Calls visit(route within the block, route) for each.
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

// Calls visit(choice, x) for a token's rows in choice order, where x is elements i .. i + count - 1 of the row.
// `sources` are the token's rows; x is 0 if the row is -1. Loads of `together` rows are in flight at once; if
// `together` does not divide the choices, visit is also called past the last choice, with x = 0.
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
