// Attention backward in the manner of FlashAttention-2 (arXiv 2307.08691): weights are computed anew from logsumexp,
// as powers of two; formula and shapes as in cpu/attention/backward.cc. With
// delta = dout . out, dscore = scale weight (dout . v - delta); dk and dv sum dscore q and weight dout over queries, a
// block for a tile of keys, which takes the query heads of its key head one after the other; dq sums dscore k over
// keys, a block for a tile of queries. So every sum has one order, and nothing is added by two blocks. The first kernel
// leaves dscore in memory for the second one; where that would take too much, the second one computes it anew. Tested
// by: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='AttentionTest*'. Timed on a card by ci/gpu.
#include <algorithm>

#include "cuda/attention/score_tiles.h"
#include "cuda/attention/softmax.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace moe::cuda {
namespace {

constexpr int kDeltaThreads = 256;
constexpr int64_t kMemoryShare = 128;  // dscore may take 1 / 128 of the memory that the process may use

template <typename Element, int kHead, int kRowWarps>
struct BackwardShape : HeadShape<Element, kHead> {
  using Base = HeadShape<Element, kHead>;
  static constexpr int kRows = kRowWarps * kWarpRows;  // that a block keeps
  static constexpr int kStep = kRowWarps * 8;          // rows of the other side at a time
  static constexpr int kWarps = kRowWarps * Base::kColumnWarps;
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr size_t kTileBytes = sizeof(Element) * 2 * (kRows + 2 * kStep) * Base::kStride;
  static constexpr size_t kTableFloats = kWarps * kWeightFloats<Element, kStep / 8>;
  static constexpr int kStatistics = 2 * kStep;  // logsumexp and delta of a step's queries
  static constexpr size_t kSharedBytes = kTileBytes + sizeof(float) * (kTableFloats + 2 * kStatistics);
  // Blocks of an SM, which has 163 KiB of shared memory on sm_80: ptxas need not save registers for more. With a
  // fourth one the narrowest heads would spill.
  static constexpr int kBlocks = std::clamp<int>(163 * 1024 / kSharedBytes, 1, 3);
  static_assert(kStatistics <= kThreads);
};

template <typename Element>
struct Backward {
  const Element* q;
  const Element* k;
  const Element* v;
  const Element* dout;
  const float* logsumexp;
  const float* delta;  // [B, H, L]
  Element* dq;
  Element* dk;
  Element* dv;
  int length, heads, groups, head_size;
  float scale;
  int window;
  bool full, aligned;
  int first_key_head, key_heads;  // of [B, G], those of a launch
  Element* dscores;               // [key_heads, H / G, score_tiles.count(), kRows, kRows], not yet scaled
  ScoreTiles score_tiles;
};

// delta[b,h,i] = dout[b,i,h] . out[b,i,h], a warp each. Bound by bytes.
template <typename Element>
__global__ void __launch_bounds__(kDeltaThreads)
    delta_kernel(const Element* out, const Element* dout, int64_t count, int64_t length, int64_t heads, int head_size,
                 float* delta) {
  const int64_t row = (int64_t{blockIdx.x} * kDeltaThreads + threadIdx.x) / kWarpLanes;
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  if (row >= count) return;
  float sum = 0;
  for (int c = lane; c < head_size; c += kWarpLanes) {
    sum = fmaf(to_float(out[row * head_size + c]), to_float(dout[row * head_size + c]), sum);
  }
  sum = warp_sum(sum);
  const int64_t head = row % heads, token = row / heads;
  if (lane == 0) delta[(token / length * heads + head) * length + token % length] = sum;
}

// dsinks[h] -= sum_{b,i} exp(sinks[h] - logsumexp[b,h,i]) delta[b,h,i], a block for each head. Bound by bytes.
__global__ void __launch_bounds__(kDeltaThreads)
    sink_gradient_kernel(const float* sinks, const float* logsumexp, const float* delta, int sequences, int length,
                         float* dsinks) {
  __shared__ float table[kMostWarps];
  const int head = static_cast<int>(blockIdx.x), heads = static_cast<int>(gridDim.x);
  const float sink = sinks[head];
  float sum = 0;
  for (int sequence = 0; sequence < sequences; ++sequence) {
    const int64_t first = (int64_t{sequence} * heads + head) * length;
    for (int i = static_cast<int>(threadIdx.x); i < length; i += kDeltaThreads) {
      sum = fmaf(expf(sink - logsumexp[first + i]), delta[first + i], sum);
    }
  }
  sum = block_sum(sum, table);
  if (threadIdx.x == 0) dsinks[head] -= sum;
}

// Two tiles of rows in two stages: the next two arrive while these are used.
template <typename Element, int kHead, int kRowWarps>
struct Steps {
  using Shape = BackwardShape<Element, kHead, kRowWarps>;
  Element* memory;
  __device__ __forceinline__ Element* tile(int stage, int which) const {
    return memory + (stage * 2 + which) * Shape::kStep * Shape::kStride;
  }
};

// Row `from + r` of a head's rows, `stride` apart, null from `end` on.
template <typename Element>
struct HeadRows {
  const Element* head;
  int64_t stride;
  int from, end;
  __device__ __forceinline__ const Element* operator()(int r) const {
    return from + r < end ? head + (from + r) * stride : nullptr;
  }
};

// One block: kRows queries of one head. Where dscores are stored, bound by bytes, one element for each pair of query
// and key; else by FLOPs, 6 D for each pair.
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
  const int tile = a.score_tiles.tiles - 1 - static_cast<int>(blockIdx.x / launched);  // the longest come first
  const int first = tile * kRows, end = min(a.length, first + kRows);
  const int key_end = last_key(a.full, end - 1, a.length) + 1;
  const int64_t q_stride = int64_t{a.heads} * a.head_size, k_stride = int64_t{a.groups} * a.head_size;
  const int64_t q_head = sequence * (a.length * q_stride) + head * int64_t{a.head_size};
  const int64_t k_head = sequence * (a.length * k_stride) + key_head % a.groups * int64_t{a.head_size};

  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int warp_row = warp / Shape::kColumnWarps * kWarpRows;
  const int warp_column = warp % Shape::kColumnWarps * Shape::kColumns;
  const int width = padded_width(a.head_size);
  MOE_DYNAMIC_SHARED(Element, queries, Shape::kSharedBytes);
  Element* upstream = queries + kRows * kStride;
  // Stored dscores need no queries, and leave their place to two stages more.
  const Steps<Element, kHead, kRowWarps> steps{kStored ? queries : upstream + kRows * kStride};
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
  const int begin = max(0, first - a.window + 1) / kStep * kStep;
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

  int last[2];  // the last key that the lane's queries see; before all keys where there is no query
  float logsumexp[2], delta[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int query = first + warp_row + lane / 4 + 8 * i;
    const int64_t place = (int64_t{sequence} * a.heads + head) * a.length + query;
    last[i] = query < end ? last_key(a.full, query, a.length) : -1;
    if (kStored) continue;
    logsumexp[i] = query < end ? a.logsumexp[place] * kLog2E : 0;
    delta[i] = query < end ? a.delta[place] : 0;
  }
  const float scale = a.scale * kLog2E;
  float dq[Shape::kColumnTiles][4];
  clear(dq);
  for (int key = begin, stage = 0; key < key_end; key += kStep, stage = (stage + 1) % kStages) {
    wait_copies<kStages - 2>();
    __syncthreads();
    load_step((stage + kStages - 1) % kStages, key + (kStages - 1) * kStep);
    const Element* keys = steps.tile(stage, 0);
    const int warp_first = first + warp_row;
    if (warp_first >= end || key > last_key(a.full, warp_first + kWarpRows - 1, a.length) ||
        key + kStep <= warp_first - a.window + 1) {
      continue;
    }
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
          const bool seen = at <= last[n / 2] && at > last[n / 2] - a.window;
          const float weight = seen ? power_of_two(fmaf(scores[j][n], scale, -logsumexp[n / 2])) : 0.0f;
          scores[j][n] = weight * (dweights[j][n] - delta[n / 2]);
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

// One block: kRows keys of one head. Bound by FLOPs, 8 D for each pair of query and key.
template <typename Element, int kHead, int kRowWarps, bool kStored>
__global__ void __launch_bounds__((BackwardShape<Element, kHead, kRowWarps>::kThreads),
                                  (BackwardShape<Element, kHead, kRowWarps>::kBlocks))
    key_gradient_kernel(Backward<Element> a) {
  using Shape = BackwardShape<Element, kHead, kRowWarps>;
  constexpr int kRows = Shape::kRows, kStep = Shape::kStep, kStride = Shape::kStride;
  const int launched = static_cast<int>(blockIdx.x % a.key_heads), key_head = a.first_key_head + launched;
  const int group = key_head % a.groups, sequence = key_head / a.groups;
  const int tile = static_cast<int>(blockIdx.x / a.key_heads);  // those that most queries see come first
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
  const Steps<Element, kHead, kRowWarps> steps{values + kRows * kStride};
  float* statistics = reinterpret_cast<float*>(steps.tile(2, 0));  // of two stages
  float* table = statistics + 2 * Shape::kStatistics + warp * kWeightFloats<Element, kStep / 8>;
  // Queries from the first that sees a key on, those of one head after those of another.
  const int from = a.full ? 0 : first;
  const int last = a.window < a.length - end + 1 ? end - 1 + a.window : a.length;  // one after the last that sees a key
  const int ahead = a.full ? a.length : 0;    // a query sees keys up to this many after its own
  const int whole = kStored ? kRows : kStep;  // stored tiles are read whole
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
  // The thread's own of kStatistics.
  const auto statistic = [&](int step) {
    const int row = query_of(step) + thread % kStep;
    if (thread >= Shape::kStatistics || row >= last) return 0.0f;
    const int64_t place = (int64_t{sequence} * a.heads + head_of(step)) * a.length + row;
    return thread < kStep ? a.logsumexp[place] * kLog2E : a.delta[place];
  };
  load_tile<kHead>(keys, kRows, a.head_size, a.aligned, HeadRows<Element>{a.k + k_head, k_stride, first, end});
  load_tile<kHead>(values, kRows, a.head_size, a.aligned, HeadRows<Element>{a.v + k_head, k_stride, first, end});
  load_step(0, 0);
  if (thread < Shape::kStatistics) statistics[thread] = statistic(0);

  const float scale = a.scale * kLog2E;
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
    const int query = query_of(step), warp_first = first + warp_row;
    float weights[kStep / 8][4], dweights[kStep / 8][4];
    if (query + ahead + kStep > warp_first && query - a.window < warp_first + kWarpRows - 1) {
      const float* logsumexp = statistics + step % 2 * Shape::kStatistics;
      multiply_rows<kStride>(weights, keys + warp_row * kStride, queries, width);
      multiply_rows<kStride>(dweights, values + warp_row * kStride, upstream, width);
#pragma unroll
      for (int j = 0; j < kStep / 8; ++j) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int column = j * 8 + lane % 4 * 2 + i % 2, row = query + column;
          const int at = warp_first + lane / 4 + i / 2 * 8;
          const bool seen = at <= row + ahead && at > row - a.window && row < last && at < end;
          const float weight = seen ? power_of_two(fmaf(weights[j][i], scale, -logsumexp[column])) : 0.0f;
          weights[j][i] = weight;
          dweights[j][i] = weight * (dweights[j][i] - logsumexp[kStep + column]);
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

template <typename Element, int kHead, int kRowWarps, bool kStored>
void launch_kernels(Launch& launch, const Backward<Element>& a) {
  using Shape = BackwardShape<Element, kHead, kRowWarps>;
  const auto tiles = static_cast<unsigned>(int64_t{a.score_tiles.tiles} * a.key_heads);
  launch(key_gradient_kernel<Element, kHead, kRowWarps, kStored>, tiles, Shape::kThreads, Shape::kSharedBytes, a);
  launch(query_gradient_kernel<Element, kHead, kRowWarps, kStored>, tiles * static_cast<unsigned>(a.heads / a.groups),
         Shape::kThreads, Shape::kSharedBytes, a);
}

// Launches tiles that fit into the card's shared memory: these, or narrower ones. Every sum has the same order in all,
// and whether dscores are stored or not: that follows from the shape of one sequence and the card.
template <typename Element, int kHead, int kRowWarps>
void launch_gradients(Launch& launch, Backward<Element>& backward, int key_heads) {
  using Shape = BackwardShape<Element, kHead, kRowWarps>;
  if constexpr (Shape::kSharedBytes > kSharedOfEveryCard) {
    if (Shape::kSharedBytes > launch.stream().card().most_shared_bytes()) {
      return launch_gradients<Element, kHead, kRowWarps / 2>(launch, backward, key_heads);
    }
  }
  backward.score_tiles = score_tiles(backward.length, Shape::kRows, backward.window, backward.full);
  const int64_t tiles = backward.score_tiles.count() * (backward.heads / backward.groups);  // of a key head
  const int64_t elements = tiles * Shape::kRows * Shape::kRows;
  const int64_t most = launch.stream().card().most_memory_bytes() / kMemoryShare / sizeof(Element);
  if (elements > most) {
    backward.key_heads = key_heads;
    launch_kernels<Element, kHead, kRowWarps, false>(launch, backward);
    return;
  }
  const int64_t fit = std::max<int64_t>(1, most / std::max<int64_t>(1, elements));
  const int64_t at_once = ceil_div(key_heads, std::max<int64_t>(1, ceil_div(key_heads, fit)));  // evenly
  backward.dscores = launch.take<Element>(at_once * elements);
  for (int first = 0; first < key_heads; first += static_cast<int>(at_once)) {
    backward.first_key_head = first;
    backward.key_heads = static_cast<int>(std::min<int64_t>(at_once, key_heads - first));
    launch_kernels<Element, kHead, kRowWarps, true>(launch, backward);
  }
}

}  // namespace

void attention_backward(Stream& stream, const moe_attention_config& config, const moe_attention_inputs& in, Tensor out,
                        Tensor logsumexp, Tensor dout, const moe_attention_gradients& to) {
  Launch launch(stream);
  Tensor q = *in.q, k = *in.k, v = *in.v, dq = *to.dq, dk = *to.dk, dv = *to.dv;
  const int64_t sequences = q.shape[0], length = q.shape[1], heads = q.shape[2], groups = k.shape[2];
  const int64_t head_size = q.shape[3], rows = sequences * length * heads;
  bool aligned = true;
  for (const moe_tensor* tensor : {&q, &k, &v, &dout, &dq, &dk, &dv})
    aligned = aligned && in_vectors(*tensor, head_size);
  float* delta = launch.take<float>(rows);
  visit_floating(q, [&](auto element) {
    using Element = decltype(element);
    launch(delta_kernel<Element>, static_cast<unsigned>(ceil_div(rows, kDeltaThreads / kWarpLanes)), kDeltaThreads, 0,
           data<Element>(out), data<Element>(dout), rows, length, heads, static_cast<int>(head_size), delta);
    Backward<Element> backward{.q = data<Element>(q),
                               .k = data<Element>(k),
                               .v = data<Element>(v),
                               .dout = data<Element>(dout),
                               .logsumexp = data<float>(logsumexp),
                               .delta = delta,
                               .dq = data<Element>(dq),
                               .dk = data<Element>(dk),
                               .dv = data<Element>(dv),
                               .length = static_cast<int>(length),
                               .heads = static_cast<int>(heads),
                               .groups = static_cast<int>(groups),
                               .head_size = static_cast<int>(head_size),
                               .scale = config.scale,
                               .window = window_or_most(config.window),
                               .full = config.mask == MOE_FULL,
                               .aligned = aligned,
                               .first_key_head = 0,
                               .key_heads = 0,
                               .dscores = nullptr,
                               .score_tiles = {}};
    visit_head_size(head_size, [&](auto head) {
      // Float32 tiles of the widest heads are halved to fit into shared memory.
      constexpr int kRowWarps = std::is_same_v<Element, float> && head() > 128 ? 2 : 4;
      launch_gradients<Element, head(), kRowWarps>(launch, backward, static_cast<int>(sequences * groups));
    });
  });
  if (in.sinks == nullptr) return;
  launch(sink_gradient_kernel, static_cast<unsigned>(heads), kDeltaThreads, 0, data<float>(in.sinks),
         data<float>(logsumexp), delta, static_cast<int>(sequences), static_cast<int>(length), data<float>(to.dsinks));
}

}  // namespace moe::cuda
