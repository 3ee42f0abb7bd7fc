// Gradients of keys and values: dk and dv sum dscore q and weight dout over queries (backward.cu). A block takes a tile
// of keys and the query heads of its key head in order. If there is memory for dscores, it stores them for
// query_gradient.cu.
#include "cuda/attention/backward.h"
#include "cuda/attention/softmax.h"

namespace moe::cuda {
namespace {

// A block takes kRows keys of one head. Bound by FLOPs, 8 D per pair of query and key.
template <typename Element, int kHead, int kRowWarps, bool kStored>
__global__ void __launch_bounds__((BackwardShape<Element, kHead, kRowWarps>::kThreads),
                                  (BackwardShape<Element, kHead, kRowWarps>::kBlocks))
    key_gradient_kernel(Backward<Element> a) {
  using Shape = BackwardShape<Element, kHead, kRowWarps>;
  constexpr int kRows = Shape::kRows, kStep = Shape::kStep, kStride = Shape::kStride;
  const int launched = static_cast<int>(blockIdx.x % a.key_heads), key_head = a.first_key_head + launched;
  const int group = key_head % a.groups, sequence = key_head / a.groups;
  const int tile = static_cast<int>(blockIdx.x / a.key_heads);  // the keys that most queries see come first
  const int first = tile * kRows, end = min(a.length, first + kRows);
  const int64_t q_stride = int64_t{a.heads} * a.head_size, k_stride = int64_t{a.groups} * a.head_size;
  const int64_t k_head = sequence * (a.length * k_stride) + group * int64_t{a.head_size};
  const int shared_heads = a.heads / a.groups;

  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int warp_row = warp / Shape::kColumnWarps * kWarpRows;
  const int warp_column = warp % Shape::kColumnWarps * Shape::kColumns;
  const int width = padded_width(a.head_size);
  MOE_DYNAMIC_SHARED(Element, keys, Shape::kSharedBytes);
  Element* values = keys + kRows * kStride;
  const Steps<Shape, Element> steps{values + kRows * kStride};
  float* statistics = reinterpret_cast<float*>(steps.tile(2, 0));  // of both stages
  float* table = statistics + 2 * Shape::kStatistics + warp * kWeightFloats<Element, kStep / 8>;
  // The queries from the first one that sees a key on, query head by query head.
  const int from = a.seen.first_query(first), last = a.seen.end_of_queries(end - 1, a.length);
  const int whole = kStored ? kRows : kStep;  // stored tiles are read as a whole
  const int steps_of_head = (last - from + whole - 1) / whole * (whole / kStep), count = steps_of_head * shared_heads;
  const auto head_of = [&](int step) { return group * shared_heads + step / steps_of_head; };
  const auto query_of = [&](int step) { return from + step % steps_of_head * kStep; };
  const auto load_step = [&](int stage, int step) {
    const int64_t q_head = sequence * (a.length * q_stride) + head_of(step) * int64_t{a.head_size};
    load_tile<kHead>(steps.tile(stage, 0), kStep, a.head_size, a.aligned,
                     HeadRows<Element>{a.q + q_head, q_stride, query_of(step), last});
    load_tile<kHead>(steps.tile(stage, 1), kStep, a.head_size, a.aligned,
                     HeadRows<Element>{a.dout + q_head, q_stride, query_of(step), last});
    commit_copies();
  };
  const int thread = static_cast<int>(threadIdx.x);
  // This thread's entry of kStatistics.
  const auto statistic = [&](int step) {
    const int row = query_of(step) + thread % kStep;
    if (thread >= Shape::kStatistics || row >= last) return 0.0f;
    const int64_t at = (int64_t{sequence} * a.heads + head_of(step)) * a.length + row;
    return thread < kStep ? a.logsumexp[at] * kLog2E : a.delta[at];
  };
  load_tile<kHead>(keys, kRows, a.head_size, a.aligned, HeadRows<Element>{a.k + k_head, k_stride, first, end});
  load_tile<kHead>(values, kRows, a.head_size, a.aligned, HeadRows<Element>{a.v + k_head, k_stride, first, end});
  load_step(0, 0);
  if (thread < Shape::kStatistics) statistics[thread] = statistic(0);

  const float scale = a.scale * kLog2E, cap = a.cap * kLog2E;
  const int warp_first = first + warp_row, warp_from = a.seen.first_query(warp_first);
  const int warp_last = a.seen.end_of_queries(warp_first + kWarpRows - 1, a.length);
  int key_from[2], key_last[2];  // the queries that see the lane's keys; none for missing keys
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int key = warp_first + lane / 4 + i * 8;
    key_from[i] = a.seen.first_query(key);
    key_last[i] = key < end ? a.seen.end_of_queries(key, a.length) : 0;
  }
  float dk[Shape::kColumnTiles][4], dv[Shape::kColumnTiles][4];
  clear(dk);
  clear(dv);
  for (int step = 0; step < count; ++step) {
    wait_copies<0>();
    __syncthreads();
    const bool more = step + 1 < count;
    if (more) load_step((step + 1) % 2, step + 1);
    const float coming = more ? statistic(step + 1) : 0.0f;
    const Element* queries = steps.tile(step % 2, 0);
    const Element* upstream = steps.tile(step % 2, 1);
    const int query = query_of(step);
    float weights[kStep / 8][4], dweights[kStep / 8][4];
    if (query + kStep > warp_from && query < warp_last) {
      const float* logsumexp = statistics + step % 2 * Shape::kStatistics;
      multiply_rows<kStride>(weights, keys + warp_row * kStride, queries, width);
      multiply_rows<kStride>(dweights, values + warp_row * kStride, upstream, width);
#pragma unroll
      for (int j = 0; j < kStep / 8; ++j) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int column = j * 8 + lane % 4 * 2 + i % 2, row = query + column;
          const bool seen = row >= key_from[i / 2] && row < key_last[i / 2];
          float gradient = dweights[j][i] - logsumexp[kStep + column];
          const float weight = seen ? weight_of(weights[j][i], scale, cap, logsumexp[column], gradient) : 0.0f;
          weights[j][i] = weight;
          dweights[j][i] = weight * gradient;
        }
      }
      add_product<kStride>(dv, weights, upstream + warp_column, width - warp_column, table);
      add_product<kStride>(dk, dweights, queries + warp_column, width - warp_column, table);
    } else {
      clear(dweights);
    }
    if (kStored && warp_column == 0) {
      const int64_t at = (launched * int64_t{shared_heads} + step / steps_of_head) * a.score_tiles.count() +
                         a.score_tiles.at(tile, query / kRows);
      const int block = warp_row / 8 * (kRows / 8) + query % kRows / 8;
      store_blocks<kRows / 8>(dweights, a.dscores + at * (kRows * kRows) + block * kBlockElements);
    }
    if (more && thread < Shape::kStatistics) statistics[(step + 1) % 2 * Shape::kStatistics + thread] = coming;
  }

  const float factor[2] = {a.scale, a.scale}, one[2] = {1, 1};
  __syncthreads();
  store_product<kStride>(dk, factor, keys + warp_row * kStride + warp_column);
  store_product<kStride>(dv, one, values + warp_row * kStride + warp_column);
  __syncthreads();
  store_tile<kHead>(keys, end - first, a.head_size, a.aligned,
                    [&](int r) { return a.dk + k_head + (first + r) * k_stride; });
  store_tile<kHead>(values, end - first, a.head_size, a.aligned,
                    [&](int r) { return a.dv + k_head + (first + r) * k_stride; });
}

}  // namespace

template <typename Element>
void launch_key_gradient(Launcher& launch, const Backward<Element>& backward) {
  visit_shape<Element>(backward.head_size, launch.stream().gpu().most_shared_bytes(), [&](auto shape) {
    using Shape = decltype(shape);
    const auto with = [&](auto stored) {
      launch(key_gradient_kernel<Element, Shape::kHead, Shape::kRowWarps, stored()>, backward.key_tiles(),
             Shape::kThreads, Shape::kSharedBytes, backward);
    };
    backward.dscores != nullptr ? with(std::true_type{}) : with(std::false_type{});
  });
}
template void launch_key_gradient(Launcher&, const Backward<float>&);
template void launch_key_gradient(Launcher&, const Backward<Bfloat16>&);

}  // namespace moe::cuda
