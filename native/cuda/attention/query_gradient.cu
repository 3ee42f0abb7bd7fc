// Gradient of queries: dq sums dscore k over keys (backward.cu). A block takes a tile of queries. key_gradient.cu has
// stored dscores, or they are recomputed.
#include "cuda/attention/backward.h"
#include "cuda/attention/softmax.h"

namespace moe::cuda {
namespace {

// A block takes kRows queries of one head. With stored dscores it is bound by bytes, one element per pair of query and
// key; else by FLOPs, 6 D per pair.
template <typename Element, int kHead, int kRowWarps, bool kStored>
__global__ void __launch_bounds__((BackwardShape<Element, kHead, kRowWarps>::kThreads),
                                  (BackwardShape<Element, kHead, kRowWarps>::kBlocks))
    query_gradient_kernel(Backward<Element> a) {
  using Shape = BackwardShape<Element, kHead, kRowWarps>;
  constexpr int kRows = Shape::kRows, kStep = Shape::kStep, kStride = Shape::kStride;
  constexpr int kStages = kStored ? 4 : 2;
  const int shared_heads = a.heads / a.groups, launched = a.key_heads * shared_heads;
  const int launched_head = static_cast<int>(blockIdx.x % launched);
  const int key_head = a.first_key_head + launched_head / shared_heads;
  const int sequence = key_head / a.groups;
  const int head = key_head % a.groups * shared_heads + launched_head % shared_heads;
  const int tile =
      a.score_tiles.tiles - 1 - static_cast<int>(blockIdx.x / launched);  // the tiles with most keys come first
  const int first = tile * kRows, end = min(a.length, first + kRows);
  const int key_end = a.seen.last(end - 1, a.length) + 1;
  const int64_t q_stride = int64_t{a.heads} * a.head_size, k_stride = int64_t{a.groups} * a.head_size;
  const int64_t q_head = sequence * (a.length * q_stride) + head * int64_t{a.head_size};
  const int64_t k_head = sequence * (a.length * k_stride) + key_head % a.groups * int64_t{a.head_size};

  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int warp_row = warp / Shape::kColumnWarps * kWarpRows;
  const int warp_column = warp % Shape::kColumnWarps * Shape::kColumns;
  const int width = padded_width(a.head_size);
  MOE_DYNAMIC_SHARED(Element, queries, Shape::kSharedBytes);
  Element* upstream = queries + kRows * kStride;
  // With stored dscores the tile of queries is not needed, and its memory holds two more stages.
  const Steps<Shape, Element> steps{kStored ? queries : upstream + kRows * kStride};
  float* table = reinterpret_cast<float*>(steps.tile(kStages, 0)) + warp * kWeightFloats<Element, kStep / 8>;
  const auto load_step = [&](int stage, int key) {
    if (key < key_end) {
      load_tile<kHead>(steps.tile(stage, 0), kStep, a.head_size, a.aligned,
                       HeadRows<Element>{a.k + k_head, k_stride, key, key_end});
      if constexpr (kStored) {
        const int64_t at = launched_head * a.score_tiles.count() + a.score_tiles.at(key / kRows, tile);
        copy_array(steps.tile(stage, 1), a.dscores + (at * kRows + key % kRows) * kRows, kStep * kRows);
      } else {
        load_tile<kHead>(steps.tile(stage, 1), kStep, a.head_size, a.aligned,
                         HeadRows<Element>{a.v + k_head, k_stride, key, key_end});
      }
    }
    commit_copies();
  };
  const int begin = a.seen.first(first) / kStep * kStep;
  LeftFactor<Element, kHead> own_queries, own_upstream;
  if constexpr (kStored) {
#pragma unroll
    for (int stage = 0; stage + 1 < kStages; ++stage) load_step(stage, begin + stage * kStep);
  } else {
    load_tile<kHead>(queries, kRows, a.head_size, a.aligned, HeadRows<Element>{a.q + q_head, q_stride, first, end});
    load_tile<kHead>(upstream, kRows, a.head_size, a.aligned, HeadRows<Element>{a.dout + q_head, q_stride, first, end});
    load_step(0, begin);
    wait_copies<0>();
    __syncthreads();
    own_queries.read(queries + warp_row * kStride, width);
    own_upstream.read(upstream + warp_row * kStride, width);
  }

  // The keys that the lane's queries see; none for missing queries. The keys that the warp's queries see.
  int seen_first[2], seen_last[2];
  const int warp_first = first + warp_row, first_seen = a.seen.first(warp_first);
  const int last_seen = a.seen.last(warp_first + kWarpRows - 1, a.length);
  float logsumexp[2], delta[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int query = first + warp_row + lane / 4 + 8 * i;
    const int64_t at = (int64_t{sequence} * a.heads + head) * a.length + query;
    seen_first[i] = a.seen.first(query);
    seen_last[i] = query < end ? a.seen.last(query, a.length) : -1;
    if (kStored) continue;
    logsumexp[i] = query < end ? a.logsumexp[at] * kLog2E : 0;
    delta[i] = query < end ? a.delta[at] : 0;
  }
  const float scale = a.scale * kLog2E, cap = a.cap * kLog2E;
  float dq[Shape::kColumnTiles][4];
  clear(dq);
  for (int key = begin, stage = 0; key < key_end; key += kStep, stage = (stage + 1) % kStages) {
    wait_copies<kStages - 2>();
    __syncthreads();
    load_step((stage + kStages - 1) % kStages, key + (kStages - 1) * kStep);
    const Element* keys = steps.tile(stage, 0);
    if (warp_first >= end || key > last_seen || key + kStep <= first_seen) continue;
    if constexpr (kStored) {
      const Element* dscores = steps.tile(stage, 1) + warp_row / 8 * kBlockElements;
      add_transposed<kRows / 8, kStride, kStep / 8>(dq, dscores, keys + warp_column, width - warp_column, table);
    } else {
      float scores[kStep / 8][4], dweights[kStep / 8][4];
      own_queries.multiply(scores, keys, width);
      own_upstream.multiply(dweights, steps.tile(stage, 1), width);
#pragma unroll
      for (int j = 0; j < kStep / 8; ++j) {
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          const int at = key + j * 8 + lane % 4 * 2 + n % 2;
          const bool seen = at >= seen_first[n / 2] && at <= seen_last[n / 2];
          float gradient = dweights[j][n] - delta[n / 2];
          const float weight = seen ? weight_of(scores[j][n], scale, cap, logsumexp[n / 2], gradient) : 0.0f;
          scores[j][n] = weight * gradient;
        }
      }
      add_product<kStride>(dq, scores, keys + warp_column, width - warp_column, table);
    }
  }

  const float factor[2] = {a.scale, a.scale};
  __syncthreads();
  store_product<kStride>(dq, factor, queries + warp_row * kStride + warp_column);
  __syncthreads();
  store_tile<kHead>(queries, end - first, a.head_size, a.aligned,
                    [&](int r) { return a.dq + q_head + (first + r) * q_stride; });
}

}  // namespace

template <typename Element>
void launch_query_gradient(Launcher& launch, const Backward<Element>& backward) {
  visit_shape<Element>(backward.head_size, launch.stream().gpu().most_shared_bytes(), [&](auto shape) {
    using Shape = decltype(shape);
    const auto with = [&](auto stored) {
      launch(query_gradient_kernel<Element, Shape::kHead, Shape::kRowWarps, stored()>,
             backward.key_tiles() * static_cast<unsigned>(backward.heads / backward.groups), Shape::kThreads,
             Shape::kSharedBytes, backward);
    };
    backward.dscores != nullptr ? with(std::true_type{}) : with(std::false_type{});
  });
}
template void launch_query_gradient(Launcher&, const Backward<float>&);
template void launch_query_gradient(Launcher&, const Backward<Bfloat16>&);

}  // namespace moe::cuda
