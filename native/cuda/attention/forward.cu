// Attention forward after FlashAttention-2 (arXiv 2307.08691). Formula and shapes: cpu/attention/forward.cc. A block
// keeps a tile of query rows and walks tiles of keys, with a running maximum m and sum l of weights 2^(s - m), where s
// includes log2(e). A sink is a key without a value that a row sees first: m starts as its logit and l as 1. The query
// heads that share a key head are rows of one tile, so they read it once.
//
// Heads of up to 128 in long runs: a warp has 16 rows and all columns. Wider heads, and chunks of single rows: several
// warps share 16 rows, and each sums some columns of the values. Tiles of rows of latent attention (DeepSeek-V2, arXiv
// 2405.04434), 576 columns of which the values are the keys themselves, with 32 keys:
//
//            columns  0 .. 143    144 .. 287    288 .. 431    432 .. 575
//                   +-----------+-------------+-------------+-----------+   1. each: S of its columns, 16 x 32, with
//     16 query heads|  warp 0   |   warp 1    |   warp 2    |  warp 3   |      its queries in registers -> scores
//                   +-----------+-------------+-------------+-----------+   2. barrier; each adds the parts of its four
//     16 query heads|  warp 4   |   warp 5    |   warp 6    |  warp 7   |      warps in order, masks, and weighs
//                   +-----------+-------------+-------------+-----------+   3. each: sums += weights times its columns
//
// Shared memory of a block, in this order; rows of tiles are kStride apart, 16 bytes more than kHead elements:
//
//     queries  [kRows, kStride]   queries; then the scores, if these replace them; outputs at the end
//     keys     [kKeys, kStride]   a tile of keys; after row r: where key r of an even tile is in the cache
//     values   [kKeys, kStride]   their values, or the odd tiles of keys that are values; after row r: of odd tiles
//     scores   [kRows, kScoreParts, kScoreStride] float32, only of warps that share rows
//     weights  [kWarps, kWeightFloats] float32, only of float32 heads: lanes of a warp exchange them
//
// Copies are asynchronous: values arrive while scores are computed, and the next keys while values are summed; keys
// that are values have the whole time of a tile.
//
// Tested by: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Attention*'. Timed on a GPU by ci/gpu.
#include "cuda/attention/forward.h"

#include "cuda/attention/forward_tiles.h"
#include "cuda/device/kernels.h"

namespace moe::cuda {
namespace {

// A block takes a run of rows (or a tile of a whole sequence), one key head, and up to kRows pairs (row, query head).
// Long runs are bound by FLOPs, 4 D per pair of row and key; lone rows by the bytes of keys and values.
template <typename Element, int kHead, int kRowWarps, bool kOneChunk>
__global__ void __launch_bounds__((ForwardShape<Element, kHead, kRowWarps, kOneChunk>::kThreads),
                                  (ForwardShape<Element, kHead, kRowWarps, kOneChunk>::kBlocks))
    attend_kernel(AttendingRows a, int chunks, float* chunk_sums, float* chunk_statistics) {
  using Shape = ForwardShape<Element, kHead, kRowWarps, kOneChunk>;
  constexpr int kRows = Shape::kRows, kKeys = Shape::kKeys, kStride = Shape::kStride;
  const int shared_heads = a.heads / a.groups, head_tiles = (shared_heads + kRows - 1) / kRows;
  const int most_rows = shared_heads < kRows ? kRows / shared_heads : 1;
  unsigned index = blockIdx.x;
  const int head_tile = static_cast<int>(index % head_tiles);
  index /= head_tiles;
  const int group = static_cast<int>(index % a.groups);
  index /= a.groups;
  const Run run = run_of(a, index, most_rows);
  if (run.count == 0) return;
  const int first_seen = a.seen.first(run.position);  // blocks before it may be another sequence's by now
  int begin = first_seen / kKeys * kKeys;
  int end = a.seen.last(run.position + run.count - 1, a.cache.capacity) + 1;
  if constexpr (kOneChunk) {
    begin = max(begin, static_cast<int>(blockIdx.y) * kChunk);
    end = min(end, static_cast<int>(blockIdx.y) * kChunk + kChunk);
    if (begin >= end) return;
  }

  // Row r of the tile is query head first_head + r % heads of row run.first + r / heads.
  const int heads = min(kRows, shared_heads - head_tile * kRows), rows = run.count * heads;
  const int first_head = group * shared_heads + head_tile * kRows;
  const auto element = [&](int r) {
    return ((run.first + r / heads) * a.heads + first_head + r % heads) * int64_t{a.head_size};
  };
  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int warp_row = warp / Shape::kColumnWarps * kWarpRows;
  const int warp_part = warp % Shape::kColumnWarps, warp_column = warp_part * Shape::kColumns;
  const int width = padded_width(a.head_size), inner = Shape::kSplitsColumns ? warp_column : 0;
  int row[2], last[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    row[i] = warp_row + lane / 4 + 8 * i;
    last[i] = row[i] < rows ? a.seen.last(run.position + row[i] / heads, a.cache.capacity) : -1;
  }
  const int warp_first = a.seen.first(run.position + warp_row / heads);
  const int warp_last = a.seen.last(run.position + (min(warp_row + kWarpRows, rows) - 1) / heads, a.cache.capacity);

  MOE_DYNAMIC_SHARED(Element, queries, Shape::kSharedBytes);
  const bool once = kWide<kHead> && a.values == a.keys;
  const KeyTiles<Shape, Element, kHead> tiles{a, run, group, first_seen, end, queries + kRows * kStride, once};
  float* tables =
      reinterpret_cast<float*>(Shape::kScoresReplaceQueries ? queries : queries + (kRows + 2 * kKeys) * kStride);
  float* scores = tables + warp_row * Shape::kScoreParts * Shape::kScoreStride;  // for warps that share rows
  float* table = tables + Shape::kScoreFloats + warp * kWeightFloats<Element, kKeys / 8>;
  tiles.find(begin);
  tiles.find(begin + kKeys);
  load_tile<kHead>(queries, kRows, a.head_size, a.aligned,
                   [&](int r) { return r < rows ? static_cast<const Element*>(a.q) + element(r) : nullptr; });
  __syncthreads();
  tiles.load_keys(begin);
  wait_copies<0>();
  __syncthreads();
  typename Shape::Queries own_queries;
  own_queries.read(queries + warp_row * kStride + inner, width - inner);

  RowSums<Shape::kColumnTiles> sums, chunk;
  sums.reset();
  chunk.reset();
  if (a.sinks != nullptr) {  // merge_chunks_kernel adds them if there are several chunks
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (row[i] < rows) sums.begin_with(i, a.sinks[first_head + row[i] % heads] * kLog2E);
    }
  }
  for (int key = begin, next; key < end; key = next) {
    next = key + kKeys;
    wait_copies<0>();
    __syncthreads();
    if (!once) tiles.load_values(key);
    if (once && next < end) tiles.load_keys(next);
    const bool seen = warp_row < rows && key <= warp_last && next > warp_first;
    float weights[kKeys / 8][4];
    if constexpr (Shape::kColumnWarps == 1) {
      if (seen) own_queries.multiply(weights, tiles.keys(key), width);
    } else if (seen) {
      const int own = Shape::kSplitsColumns ? 0 : warp_part * Shape::kOwnKeys;
      const int place = Shape::kSplitsColumns ? warp_part * kWarpRows * Shape::kScoreStride : own;
      float part[Shape::kOwnKeys / 8][4];
      own_queries.multiply(part, tiles.keys(key) + own * kStride + inner, width - inner);
      put_product<Shape::kScoreStride>(part, scores + place);
    }
    if (!once) wait_copies<0>();
    __syncthreads();
    if (!once && next < end) tiles.load_keys(next);
    if (next + kKeys < end) tiles.find(next + kKeys);
    if (seen) {
      if constexpr (Shape::kColumnWarps > 1) get_product<Shape::kScoreStride>(weights, scores);
#pragma unroll
      for (int part = 1; part < Shape::kScoreParts; ++part) {
        add_part<Shape::kScoreStride>(weights, scores + part * kWarpRows * Shape::kScoreStride);
      }
      scale_and_mask(weights, a.scale, a.cap, key, last, a.seen);
      chunk.weigh(weights);
      add_product<kStride>(chunk.values, weights, tiles.values(key) + warp_column, width - warp_column, table);
    }
    if (!kOneChunk && (next % kChunk == 0 || next >= end)) {
      sums.merge(chunk);
      chunk.reset();
    }
  }

  if (kOneChunk && chunks > 1) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float total = row_sum(chunk.total[i]);
      if (row[i] >= rows) continue;
      const int64_t line = (run.first + row[i] / heads) * a.heads + first_head + row[i] % heads;
      const int64_t sums_row = line * chunks + blockIdx.y;
      if (warp_column == 0 && lane % 4 == 0) {
        chunk_statistics[2 * sums_row] = chunk.maximum[i];
        chunk_statistics[2 * sums_row + 1] = total;
      }
#pragma unroll
      for (int j = 0; j < Shape::kColumnTiles; ++j) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          const int column = warp_column + j * 8 + lane % 4 * 2 + n;
          if (column < a.head_size) chunk_sums[sums_row * a.head_size + column] = chunk.values[j][2 * i + n];
        }
      }
    }
    return;
  }
  if (kOneChunk) sums.merge(chunk);
  const float factor[2] = {1 / sums.total[0], 1 / sums.total[1]};
  if (Shape::kScoresReplaceQueries) __syncthreads();  // another warp may still read the last scores
  store_product<kStride>(sums.values, factor, queries + warp_row * kStride + warp_column);
  __syncthreads();
  store_tile<kHead>(queries, rows, a.head_size, a.aligned,
                    [&](int r) { return static_cast<Element*>(a.out) + element(r); });
  if (a.logsumexp == nullptr || warp_column != 0 || lane % 4 != 0) return;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (row[i] >= rows) continue;
    const int64_t line = int64_t{run.slot} * a.heads + first_head + row[i] % heads;
    a.logsumexp[line * a.cache.capacity + run.position + row[i] / heads] =
        (sums.maximum[i] + log2f(sums.total[i])) * kLn2;
  }
}

template <typename Element, int kHead, int kRowWarps, bool kOneChunk>
void attend(Launcher& launch, const AttendingRows& a, int64_t chunks, float* sums, float* statistics) {
  using Shape = ForwardShape<Element, kHead, kRowWarps, kOneChunk>;
  const int64_t shared = a.heads / a.groups;
  if constexpr (kRowWarps > 1 && Shape::kSharedBytes > kSharedOfEveryGpu) {  // a row's bits do not depend on its tile
    if (Shape::kSharedBytes > launch.stream().gpu().most_shared_bytes() || (kOneChunk && shared <= kWarpRows)) {
      return attend<Element, kHead, 1, kOneChunk>(launch, a, chunks, sums, statistics);
    }
  }
  const int64_t most_rows = std::max<int64_t>(1, Shape::kRows / shared);
  const int64_t runs = a.slot != nullptr ? a.rows : a.cache.slots * ceil_div(a.cache.capacity, most_rows);
  const int64_t blocks = runs * a.groups * ceil_div(shared, Shape::kRows);
  launch(attend_kernel<Element, kHead, kRowWarps, kOneChunk>,
         dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(chunks)), Shape::kThreads, Shape::kSharedBytes, a,
         static_cast<int>(chunks), sums, statistics);
}

template <bool kOneChunk>
void attend(Launcher& launch, moe_dtype dtype, const AttendingRows& a, int64_t chunks, float* sums, float* statistics) {
  const auto with = [&](auto element, auto head) {
    using Element = decltype(element);
    constexpr int kRowWarps = kOneChunk && !kWide<head()> ? 1 : row_warps_of_runs<Element, head()>();
    attend<Element, head(), kRowWarps, kOneChunk>(launch, a, chunks, sums, statistics);
  };
  visit_head_size<kMostHeadSize>(a.head_size, [&](auto head) {
    if (dtype == MOE_BFLOAT16) {
      with(Bfloat16{}, head);
    } else {
      with(float{}, head);
    }
  });
}

}  // namespace

void attend_rows(Launcher& launch, moe_dtype dtype, const AttendingRows& rows) {
  attend<false>(launch, dtype, rows, 1, nullptr, nullptr);
}

void attend_chunks(Launcher& launch, moe_dtype dtype, const AttendingRows& rows, int64_t chunks, float* sums,
                   float* statistics) {
  attend<true>(launch, dtype, rows, chunks, sums, statistics);
}

void attention_forward(Stream& stream, const moe_attention_config& config, const moe_attention_inputs& in, Tensor out,
                       OptionalTensor logsumexp) {
  Launcher launch(stream);
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
               .scale = config.scale * kLog2E,
               .cap = config.soft_cap * kLog2E,
               .seen = SeenKeys::of(config),
               .aligned = in_vectors(q, head_size) && in_vectors(k, head_size) && in_vectors(v, head_size) &&
                          in_vectors(out, head_size)});
}

}  // namespace moe::cuda
