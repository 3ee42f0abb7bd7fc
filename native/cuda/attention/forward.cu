// Attention forward after FlashAttention-2 (arXiv 2307.08691). Formula and shapes: cpu/attention/forward.cc. A block
// keeps a tile of query rows and walks tiles of keys, with a running maximum m and sum l of weights 2^(s - m), where s
// includes log2(e). A sink is a key without a value that a row sees first: m starts as its logit and l as 1. The query
// heads that share a key head are rows of one tile, so they read it once.
// Tested by: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Attention*'. Timed on a GPU by ci/gpu.
#include "cuda/attention/forward.h"

#include "cuda/attention/run.h"
#include "cuda/kernels.h"

namespace moe::cuda {
namespace {

// Rows of queries per block in long runs. 128 rows of bfloat16 halve the L2 traffic of 64, which tensor cores need;
// float32 is bound by its multiply-adds, and wider heads by registers.
template <typename Element, int kHead>
constexpr int kRowWarpsOfRuns = std::is_same_v<Element, Bfloat16> && kHead <= 128 ? 8 : 4;
constexpr int kColumnWarpsOfAChunk = 4;

// kOneChunk: a block takes one chunk of keys for 16 rows. It is bound by bytes, so four warps share the rows: they
// issue copies, and each computes a part of the scores and of the columns.
template <typename Element, int kHead, bool kOneChunk>
using ForwardHeads =
    std::conditional_t<kOneChunk, HeadShape<Element, kHead, kColumnWarpsOfAChunk>, HeadShape<Element, kHead>>;

template <typename Element, int kHead, int kRowWarps, bool kOneChunk>
struct ForwardShape : ForwardHeads<Element, kHead, kOneChunk> {
  using Base = ForwardHeads<Element, kHead, kOneChunk>;
  static constexpr int kRows = kRowWarps * kWarpRows;
  static constexpr int kKeys = std::is_same_v<Element, float> ? 32 : 64;  // of a tile; fixes the order of sums
  static constexpr int kWarps = kRowWarps * Base::kColumnWarps;
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr size_t kTileBytes = sizeof(Element) * (kRows + 2 * kKeys) * Base::kStride;
  // Warps that share a row compute the scores of kOwnKeys keys each and combine them in a table.
  static constexpr int kOwnKeys = kKeys / Base::kColumnWarps;
  static constexpr int kScoreStride = product_stride(kKeys);
  static constexpr int kScoreFloats = Base::kColumnWarps == 1 ? 0 : kRows * kScoreStride;
  static constexpr size_t kSharedBytes =
      kTileBytes + sizeof(float) * (kScoreFloats + kWarps * kWeightFloats<Element, kKeys / 8>);
  // Minimum blocks per SM: for more, ptxas saves registers and spills.
  static constexpr int kBlocks = kThreads * Base::kColumns <= 128 * 64 ? 3 : 1;
  static_assert(kChunk % kKeys == 0 && kOwnKeys % 8 == 0);
};

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
  int begin = max(0, run.position - a.window + 1) / kKeys * kKeys;
  int end = last_key(a.full, run.position + run.count - 1, a.cache.capacity) + 1;
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
  float* tables = reinterpret_cast<float*>(values + kKeys * kStride);
  float* scores = tables + warp_row * Shape::kScoreStride;  // for warps that share rows
  float* table = tables + Shape::kScoreFloats + warp * kWeightFloats<Element, kKeys / 8>;
  // The row of [blocks * block * G, D] of key `key` + r and its value; -1 for none. Stored in the padding of a tile's
  // row r, alternating between `keys` and `values`: threads may still load values when they look up the next tile's
  // keys.
  const auto key_row = [&](int key, int r) -> int64_t& {
    return *reinterpret_cast<int64_t*>((key / kKeys % 2 == 0 ? keys : values) + r * kStride + kHead);
  };
  const int first_seen =
      max(0, run.position - a.window + 1);  // blocks before the window may be another sequence's by now
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
  wait_copies<0>();
  __syncthreads();
  LeftFactor<Element, kHead> own_queries;
  own_queries.read(queries + warp_row * kStride, width);

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
    load_keys(values, a.values, a.value_scales, key);
    if (next < end) find_keys(next);
    const bool seen = warp_row < rows && key <= warp_last && next > warp_first - a.window + 1;
    float weights[kKeys / 8][4];
    if constexpr (Shape::kColumnWarps == 1) {
      if (seen) own_queries.multiply(weights, keys, width);
    } else if (seen) {
      const int own = warp % Shape::kColumnWarps * Shape::kOwnKeys;
      float part[Shape::kOwnKeys / 8][4];
      own_queries.multiply(part, keys + own * kStride, width);
      put_product<Shape::kScoreStride>(part, scores + own);
    }
    wait_copies<0>();
    __syncthreads();
    if (next < end) load_keys(keys, a.keys, a.key_scales, next);
    if (seen) {
      if constexpr (Shape::kColumnWarps > 1) get_product<Shape::kScoreStride>(weights, scores);
      scale_and_mask(weights, a.scale, a.cap, key, last, a.window);
      chunk.weigh(weights);
      add_product<kStride>(chunk.values, weights, values + warp_column, width - warp_column, table);
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
  if constexpr (kRowWarps > 1 && Shape::kSharedBytes > kSharedOfEveryGpu) {  // a row's bits do not depend on its tile
    if (Shape::kSharedBytes > launch.stream().gpu().most_shared_bytes()) {
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

template <bool kOneChunk>
void attend(Launcher& launch, moe_dtype dtype, const AttendingRows& a, int64_t chunks, float* sums, float* statistics) {
  const auto with = [&](auto element, auto head) {
    using Element = decltype(element);
    constexpr int kRowWarps = kOneChunk ? 1 : kRowWarpsOfRuns<Element, head()>;
    attend<Element, head(), kRowWarps, kOneChunk>(launch, a, chunks, sums, statistics);
  };
  visit_head_size(a.head_size, [&](auto head) {
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
  refuse_chunks(config);
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
               .window = window_or_most(config.window),
               .full = config.mask == MOE_FULL,
               .aligned = in_vectors(q, head_size) && in_vectors(k, head_size) && in_vectors(v, head_size) &&
                          in_vectors(out, head_size)});
}

}  // namespace moe::cuda
