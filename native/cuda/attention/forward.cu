// Attention forward; formula and shapes as in cpu/attention/forward.cc. In the manner of FlashAttention-2 (arXiv
// 2307.08691): a block keeps a tile of query rows and walks tiles of keys with a running maximum m and sum l of weights
// exp(s - m). A sink is a key without a value that a row sees first: m and l start as its logit and 1. The query heads
// that share a key head are rows of one tile, so they read it once.
// Tested by: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Attention*'. Timed on a card by ci/gpu.
#include "cuda/attention/forward.h"

#include "cuda/kernels.h"

namespace moe::cuda {
namespace {

template <typename Element, int kHead, int kRowWarps>
struct ForwardShape : HeadShape<Element, kHead> {
  using Base = HeadShape<Element, kHead>;
  static constexpr int kRows = kRowWarps * kWarpRows;
  static constexpr int kKeys = std::is_same_v<Element, float> ? 32 : 64;
  static constexpr int kWarps = kRowWarps * Base::kColumnWarps;
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr size_t kTileBytes = sizeof(Element) * (kRows + 2 * kKeys) * Base::kStride;
  static constexpr size_t kSharedBytes = kTileBytes + sizeof(float) * kWarps * kWeightFloats<Element, kKeys / 8>;
  static_assert(kChunk % kKeys == 0);
};

// Consecutive positions of one sequence, rows from `first` on.
struct Run {
  int64_t first;
  int count, slot, position;
};

// The run that starts at row t and stays in t's tile of `most` rows. Empty where t continues the run of the row before,
// and where its place is refused.
__device__ __forceinline__ Run find_run(const AttendingRows& a, int t, int most) {
  Run run{t, 0, a.slot[t], a.position[t]};
  if (!a.cache.has(run.slot, run.position)) {
    a.refusal.raise();
    return run;
  }
  if (t % most != 0 && run.position > 0 && a.slot[t - 1] == run.slot && a.position[t - 1] == run.position - 1) {
    return run;
  }
  const int end = min(a.rows, t / most * most + most);
  do {
    ++run.count;
  } while (t + run.count < end && run.position + run.count < a.cache.capacity && a.slot[t + run.count] == run.slot &&
           a.position[t + run.count] == run.position + run.count);
  return run;
}

// Of the two rows of a product that a lane has elements of. Products and sums that a compiler might fuse in one kernel
// and not in another are spelled out.
template <int kTiles>
struct RowSums {
  float maximum[2], total[2], values[kTiles][4];

  __device__ __forceinline__ void reset() {
    for (int i = 0; i < 2; ++i) {
      maximum[i] = kUnseen;
      total[i] = 0;
    }
    clear(values);
  }

  __device__ __forceinline__ void begin_with(int i, float sink) {
    maximum[i] = sink;
    total[i] = 1;
  }

  // Replaces scores by weights exp(score - maximum) under the new maximum.
  template <int kScores>
  __device__ __forceinline__ void weigh(float (&scores)[kScores][4]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float highest = maximum[i];
#pragma unroll
      for (int j = 0; j < kScores; ++j) highest = fmaxf(highest, fmaxf(scores[j][2 * i], scores[j][2 * i + 1]));
      highest = row_max(highest);
      const float base = softmax_base(highest), decay = expf(maximum[i] - base);
      maximum[i] = highest;
      float sum = 0;
#pragma unroll
      for (int j = 0; j < kScores; ++j) {
#pragma unroll
        for (int n = 2 * i; n < 2 * i + 2; ++n) {
          scores[j][n] = expf(scores[j][n] - base);
          sum = __fadd_rn(sum, scores[j][n]);
        }
      }
      total[i] = fmaf(total[i], decay, sum);
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
#pragma unroll
        for (int n = 2 * i; n < 2 * i + 2; ++n) values[j][n] *= decay;
      }
    }
  }

  // Takes in the sums over the keys of the next chunk. merge_chunks_kernel does the same arithmetic.
  __device__ __forceinline__ void merge(const RowSums& chunk) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float highest = fmaxf(maximum[i], chunk.maximum[i]), base = softmax_base(highest);
      const float before = expf(maximum[i] - base), now = expf(chunk.maximum[i] - base);
      maximum[i] = highest;
      total[i] = fmaf(total[i], before, row_sum(chunk.total[i]) * now);
#pragma unroll
      for (int j = 0; j < kTiles; ++j) {
#pragma unroll
        for (int n = 2 * i; n < 2 * i + 2; ++n) values[j][n] = fmaf(values[j][n], before, chunk.values[j][n] * now);
      }
    }
  }
};

// Scales scores, and hides the keys from `key` on that a row must not see: those after `last`, those before its window.
template <int kScores>
__device__ __forceinline__ void scale_and_mask(float (&scores)[kScores][4], float scale, int key, const int (&last)[2],
                                               int window) {
  const int column = key + static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const bool all = key + kScores * 8 - 1 <= last[i] && key > last[i] - window;
#pragma unroll
    for (int j = 0; j < kScores; ++j) {
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const int at = column + j * 8 + n;
        const bool seen = all || (at <= last[i] && at > last[i] - window);
        float& score = scores[j][2 * i + n];
        score = seen ? __fmul_rn(score, scale) : kUnseen;
      }
    }
  }
}

// One block: a run of rows (or a tile of a whole sequence), one key head, up to kRows of (row, query head).
// Long runs are bound by FLOPs, 4 D for each pair of row and key; lone rows by the bytes of the keys and values.
template <typename Element, int kHead, int kRowWarps, bool kOneChunk>
__global__ void __launch_bounds__((ForwardShape<Element, kHead, kRowWarps>::kThreads))
    attend_kernel(AttendingRows a, int chunks, float* chunk_sums, float* chunk_statistics) {
  using Shape = ForwardShape<Element, kHead, kRowWarps>;
  constexpr int kRows = Shape::kRows, kKeys = Shape::kKeys, kStride = Shape::kStride;
  const int shared_heads = a.heads / a.groups, head_tiles = (shared_heads + kRows - 1) / kRows;
  const int most_rows = shared_heads < kRows ? kRows / shared_heads : 1;
  unsigned index = blockIdx.x;
  const int head_tile = static_cast<int>(index % head_tiles);
  index /= head_tiles;
  const int group = static_cast<int>(index % a.groups);
  index /= a.groups;
  Run run;
  if (a.slot != nullptr) {
    run = find_run(a, static_cast<int>(index), most_rows);
  } else {  // the tiles that see most keys come first
    const int tile = (a.cache.capacity - 1) / most_rows - static_cast<int>(index / a.cache.slots);
    const int slot = static_cast<int>(index % a.cache.slots), position = tile * most_rows;
    run = {int64_t{slot} * a.cache.capacity + position, min(most_rows, a.cache.capacity - position), slot, position};
  }
  if (run.count == 0) return;
  int begin = max(0, run.position - a.window + 1) / kKeys * kKeys;
  int end = last_key(a.full, run.position + run.count - 1, a.cache.capacity) + 1;
  if constexpr (kOneChunk) {
    begin = max(begin, static_cast<int>(blockIdx.y) * kChunk);
    end = min(end, static_cast<int>(blockIdx.y) * kChunk + kChunk);
    if (begin >= end) return;
  }

  // Row r of the tile is head first_head + r % heads of row run.first + r / heads.
  const int heads = min(kRows, shared_heads - head_tile * kRows), rows = run.count * heads;
  const int first_head = group * shared_heads + head_tile * kRows;
  const auto element = [&](int r) {
    return ((run.first + r / heads) * a.heads + first_head + r % heads) * int64_t{a.head_size};
  };
  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int warp_row = warp / Shape::kColumnWarps * kWarpRows;
  const int warp_column = warp % Shape::kColumnWarps * Shape::kColumns;
  const int width = padded_width(a.head_size);
  int row[2], last[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    row[i] = warp_row + lane / 4 + 8 * i;
    last[i] = row[i] < rows ? last_key(a.full, run.position + row[i] / heads, a.cache.capacity) : -1;
  }
  const int warp_first = run.position + warp_row / heads;
  const int warp_last =
      last_key(a.full, run.position + (min(warp_row + kWarpRows, rows) - 1) / heads, a.cache.capacity);

  MOE_DYNAMIC_SHARED(Element, queries, Shape::kSharedBytes);
  Element* keys = queries + kRows * kStride;
  Element* values = keys + kKeys * kStride;
  float* table = reinterpret_cast<float*>(values + kKeys * kStride) + warp * kWeightFloats<Element, kKeys / 8>;
  // Which row of [blocks * block * G, D] key `key` + r is, and its value; -1 for none. Lies in the padding of a tile's
  // row r: of `keys` and of `values` in turn, because threads may still load values when the next tile's keys are
  // found.
  const auto key_row = [&](int key, int r) -> int64_t& {
    return *reinterpret_cast<int64_t*>((key / kKeys % 2 == 0 ? keys : values) + r * kStride + kHead);
  };
  const int first_seen = max(0, run.position - a.window + 1);  // what is before may be another sequence's by now
  const auto find_keys = [&](int key) {
    for (int r = static_cast<int>(threadIdx.x); r < kKeys; r += Shape::kThreads) {
      int64_t at = -1;
      if (key + r >= first_seen && key + r < end) {
        at = a.cache.row(run.slot, key + r);
        if (at < 0) a.refusal.raise();
      }
      key_row(key, r) = at < 0 ? -1 : at * a.groups + group;
    }
  };
  const auto load_keys = [&](Element* tile, const void* from, const float* scales, int key) {
    if (scales == nullptr) {
      load_tile<kHead>(tile, kKeys, a.head_size, a.aligned, [&](int r) {
        const int64_t at = key_row(key, r);
        return at < 0 ? nullptr : static_cast<const Element*>(from) + at * a.head_size;
      });
    } else {
      load_int8_tile<kHead>(tile, kKeys, a.head_size, a.aligned, static_cast<const int8_t*>(from), scales,
                            [&](int r) { return key_row(key, r); });
    }
    commit_copies();
  };
  find_keys(begin);
  load_tile<kHead>(queries, kRows, a.head_size, a.aligned,
                   [&](int r) { return r < rows ? static_cast<const Element*>(a.q) + element(r) : nullptr; });
  __syncthreads();
  load_keys(keys, a.keys, a.key_scales, begin);

  RowSums<Shape::kColumnTiles> sums, chunk;
  sums.reset();
  chunk.reset();
  if (!kOneChunk && a.sinks != nullptr) {  // merge_chunks_kernel takes them in where chunks are apart
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (row[i] < rows) sums.begin_with(i, a.sinks[first_head + row[i] % heads]);
    }
  }
  for (int key = begin, next; key < end; key = next) {
    next = key + kKeys;
    wait_copies<0>();
    __syncthreads();
    load_keys(values, a.values, a.value_scales, key);
    if (next < end) find_keys(next);
    const bool seen = warp_row < rows && key <= warp_last && next > warp_first - a.window + 1;
    float weights[kKeys / 8][4];
    if (seen) {
      multiply_rows<kStride>(weights, queries + warp_row * kStride, keys, width);
      scale_and_mask(weights, a.scale, key, last, a.window);
      chunk.weigh(weights);
    }
    wait_copies<0>();
    __syncthreads();
    if (next < end) load_keys(keys, a.keys, a.key_scales, next);
    if (seen) add_product<kStride>(chunk.values, weights, values + warp_column, width - warp_column, table);
    if (next % kChunk == 0 || next >= end) {
      sums.merge(chunk);
      chunk.reset();
    }
  }

  if constexpr (kOneChunk) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (row[i] >= rows) continue;
      const int64_t line = (run.first + row[i] / heads) * a.heads + first_head + row[i] % heads;
      const int64_t place = line * chunks + blockIdx.y;
      if (warp_column == 0 && lane % 4 == 0) {
        chunk_statistics[2 * place] = sums.maximum[i];
        chunk_statistics[2 * place + 1] = sums.total[i];
      }
#pragma unroll
      for (int j = 0; j < Shape::kColumnTiles; ++j) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          const int column = warp_column + j * 8 + lane % 4 * 2 + n;
          if (column < a.head_size) chunk_sums[place * a.head_size + column] = sums.values[j][2 * i + n];
        }
      }
    }
  } else {
    const float factor[2] = {1 / sums.total[0], 1 / sums.total[1]};
    store_product<kStride>(sums.values, factor, queries + warp_row * kStride + warp_column);
    __syncthreads();
    store_tile<kHead>(queries, rows, a.head_size, a.aligned,
                      [&](int r) { return static_cast<Element*>(a.out) + element(r); });
    if (a.logsumexp == nullptr || warp_column != 0 || lane % 4 != 0) return;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (row[i] >= rows) continue;
      const int64_t line = int64_t{run.slot} * a.heads + first_head + row[i] % heads;
      a.logsumexp[line * a.cache.capacity + run.position + row[i] / heads] = sums.maximum[i] + logf(sums.total[i]);
    }
  }
}

template <typename Element, int kHead, int kRowWarps, bool kOneChunk>
void attend(Launch& launch, const AttendingRows& a, int64_t chunks, float* sums, float* statistics) {
  using Shape = ForwardShape<Element, kHead, kRowWarps>;
  if constexpr (kRowWarps > 1 && Shape::kSharedBytes > kSharedOfEveryCard) {  // a row's bits do not depend on its tile
    if (Shape::kSharedBytes > launch.stream().card().most_shared_bytes()) {
      return attend<Element, kHead, 1, kOneChunk>(launch, a, chunks, sums, statistics);
    }
  }
  const int64_t shared = a.heads / a.groups, most_rows = std::max<int64_t>(1, Shape::kRows / shared);
  const int64_t runs = a.slot != nullptr ? a.rows : a.cache.slots * ceil_div(a.cache.capacity, most_rows);
  const int64_t blocks = runs * a.groups * ceil_div(shared, Shape::kRows);
  launch(attend_kernel<Element, kHead, kRowWarps, kOneChunk>,
         dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(chunks)), Shape::kThreads, Shape::kSharedBytes, a,
         static_cast<int>(chunks), sums, statistics);
}

template <int kRowWarps, bool kOneChunk>
void attend(Launch& launch, moe_dtype dtype, const AttendingRows& a, int64_t chunks, float* sums, float* statistics) {
  visit_head_size(a.head_size, [&](auto head) {
    if (dtype == MOE_BFLOAT16) {
      attend<Bfloat16, head(), kRowWarps, kOneChunk>(launch, a, chunks, sums, statistics);
    } else {
      attend<float, head(), kRowWarps, kOneChunk>(launch, a, chunks, sums, statistics);
    }
  });
}

}  // namespace

void attend_rows(Launch& launch, moe_dtype dtype, const AttendingRows& rows) {
  attend<4, false>(launch, dtype, rows, 1, nullptr, nullptr);
}

void attend_chunks(Launch& launch, moe_dtype dtype, const AttendingRows& rows, int64_t chunks, float* sums,
                   float* statistics) {
  attend<1, true>(launch, dtype, rows, chunks, sums, statistics);
}

void attention_forward(Stream& stream, const moe_attention_config& config, const moe_attention_inputs& in, Tensor out,
                       OptionalTensor logsumexp) {
  Launch launch(stream);
  Tensor q = *in.q, k = *in.k, v = *in.v;
  const int64_t head_size = q.shape[3];
  attend_rows(launch, static_cast<moe_dtype>(q.dtype),
              {.q = q.data,
               .keys = k.data,
               .values = v.data,
               .key_scales = nullptr,
               .value_scales = nullptr,
               .out = out.data,
               .logsumexp = data<float>(logsumexp),
               .slot = nullptr,
               .position = nullptr,
               .cache = {.table = nullptr,
                         .blocks = q.shape[0],
                         .slots = static_cast<int>(q.shape[0]),
                         .entries = 1,
                         .block = static_cast<int>(q.shape[1]),
                         .capacity = static_cast<int>(q.shape[1])},
               .refusal = launch.refusal(),
               .rows = static_cast<int>(q.shape[0] * q.shape[1]),
               .heads = static_cast<int>(q.shape[2]),
               .groups = static_cast<int>(k.shape[2]),
               .head_size = static_cast<int>(head_size),
               .sinks = data<float>(in.sinks),
               .scale = config.scale,
               .window = window_or_most(config.window),
               .full = config.mask == MOE_FULL,
               .aligned = in_vectors(q, head_size) && in_vectors(k, head_size) && in_vectors(v, head_size) &&
                          in_vectors(out, head_size)});
}

}  // namespace moe::cuda
