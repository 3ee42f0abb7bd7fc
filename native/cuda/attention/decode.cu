// Attention over the paged key/value cache, and writes to the cache. Shapes: cpu/attention/decode.cc. Tested by:
// PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='AttentionDecode*'. Timed on a GPU by ci/gpu.
#include <limits>
#include <vector>

#include "cuda/attention/forward.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/kernels.h"

namespace moe::cuda {
namespace {

constexpr int kMergeThreads = 128;
constexpr int kAppendThreads = 256;
constexpr int64_t kMostScratchBytes = 128 << 20;  // limit of a call's scratch memory, unless one row needs more
// From this many rows per slot, rows are runs that share keys and fill the GPU without splitting the keys.
constexpr int64_t kLongRun = 4;
constexpr int64_t kMostChunks = 65535;  // blocks along y

// out = the sums of a row's chunks, merged in order like RowSums::merge does. A block per row and head; bound by the
// bytes of the sums.
template <typename Element>
__global__ void __launch_bounds__(kMergeThreads)
    merge_chunks_kernel(AttendingRows a, int chunks, const float* chunk_sums, const float* chunk_statistics) {
  const int64_t row_head = blockIdx.x, row = row_head / a.heads;
  const int position = a.position[row];
  if (!a.cache.has(a.slot[row], position)) return;  // the attention kernel has refused it
  const int first = a.seen.first(position) / kChunk, last = position / kChunk;
  for (int column = static_cast<int>(threadIdx.x); column < a.head_size; column += kMergeThreads) {
    float maximum = kUnseen, total = 0, value = 0;
    if (a.sinks != nullptr) {
      maximum = a.sinks[row_head % a.heads] * kLog2E;
      total = 1;
    }
#pragma unroll 4
    for (int chunk = first; chunk <= last; ++chunk) {
      const int64_t at = row_head * chunks + chunk;
      const float highest = fmaxf(maximum, chunk_statistics[2 * at]), base = softmax_base(highest);
      const float before = power_of_two(maximum - base), now = power_of_two(chunk_statistics[2 * at] - base);
      maximum = highest;
      total = fmaf(total, before, chunk_statistics[2 * at + 1] * now);
      value = fmaf(value, before, chunk_sums[at * a.head_size + column] * now);
    }
    static_cast<Element*>(a.out)[row_head * a.head_size + column] = from_float<Element>(value * (1 / total));
  }
}

// The cache row for row t of k and v, -1 if it is refused or a later row has the same one: the last row wins, even if
// another slot shares the block. Called by a block.
__device__ __forceinline__ int64_t cache_row_to_fill(int t, const int32_t* slot, const int32_t* position, int rows,
                                                     const CacheBlocks& cache, Refusal refusal) {
  const auto cache_row = [&](int row) {
    const int s = slot[row], p = position[row];
    return cache.has(s, p) ? cache.row(s, p) : -1;
  };
  const int64_t at = cache_row(t);
  if (at < 0) {
    refusal.raise();
    return -1;
  }
  int again = 0;
  for (int later = t + 1 + static_cast<int>(threadIdx.x); later < rows; later += kAppendThreads) {
    again |= cache_row(later) == at;
  }
  return __syncthreads_or(again) ? -1 : at;
}

// Stores row t of k and v in the cache, `width` units of 16 bytes or one element; a block per row. Bound by bytes.
template <typename Unit>
__global__ void __launch_bounds__(kAppendThreads)
    cache_append_kernel(const Unit* k, const Unit* v, const int32_t* slot, const int32_t* position, int64_t width,
                        int rows, CacheBlocks cache, Unit* keys, Unit* values, Refusal refusal) {
  const int t = static_cast<int>(blockIdx.x);
  const int64_t at = cache_row_to_fill(t, slot, position, rows, cache, refusal);
  if (at < 0) return;
  const int64_t from = t * width, to = at * width;
#pragma unroll 1  // a row is a few vectors per thread
  for (int64_t i = threadIdx.x; i < width; i += kAppendThreads) {
    keys[to + i] = k[from + i];
    values[to + i] = v[from + i];
  }
}

// Stores row t of k and v in an int8 cache; a block per row, a warp per head of k and of v. Values that are keys too
// are written once. Arithmetic: cpu/attention/int8-inl.h. Bound by bytes.
template <typename Element>
__global__ void __launch_bounds__(kAppendThreads)
    cache_append_int8_kernel(const Element* k, const Element* v, const int32_t* slot, const int32_t* position,
                             int groups, int head_size, int rows, CacheBlocks cache, int8_t* keys, int8_t* values,
                             float* key_scales, float* value_scales, Refusal refusal) {
  const int t = static_cast<int>(blockIdx.x);
  const int64_t at = cache_row_to_fill(t, slot, position, rows, cache, refusal);
  if (at < 0) return;
  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int heads = keys == values ? groups : 2 * groups;
  for (int i = warp; i < heads; i += kAppendThreads / kWarpLanes) {
    const int64_t head = i % groups, to = at * groups + head;
    const Element* x = (i < groups ? k : v) + (int64_t{t} * groups + head) * head_size;
    int8_t* c = (i < groups ? keys : values) + to * head_size;
    unsigned peak = 0;  // |x| orders like its bits; NaN is above all others
    for (int column = lane; column < head_size; column += kWarpLanes) {
      peak = max(peak, __float_as_uint(fabsf(to_float(x[column]))));
    }
    const float scale = __uint_as_float(__reduce_max_sync(kAllLanes, peak)) / 127, divisor = scale == 0 ? 1 : scale;
    for (int column = lane; column < head_size; column += kWarpLanes) {
      c[column] = static_cast<int8_t>(rintf(fminf(fmaxf(to_float(x[column]) / divisor, -127), 127)));
    }
    if (lane == 0) (i < groups ? key_scales : value_scales)[to] = scale;
  }
}

constexpr int kBiasedThreads = 128;
constexpr int kBiasedColumns = 8;  // columns per lane: heads of up to 256 elements

// Element `column` of a key's or value's head; `scales` is null unless elements are int8.
template <typename Element>
__device__ __forceinline__ float cached(const void* elements, const float* scales, int64_t head, int head_size,
                                        int column) {
  const int64_t at = head * head_size + column;
  if (scales == nullptr) return to_float(static_cast<const Element*>(elements)[at]);
  return scales[head] * static_cast<float>(static_cast<const int8_t*>(elements)[at]);
}

// A warp per row and query head takes one key after the other, with a bias [2 reach + 1, H] by relative position. For
// the short sequences of encoders: bound by the latency of a key.
template <typename Element>
__global__ void __launch_bounds__(kBiasedThreads)
    biased_kernel(AttendingRows a, const float* bias, const int32_t* query_positions, int reach) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpLanes, lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const int64_t row_head = int64_t{blockIdx.x} * (kBiasedThreads / kWarpLanes) + warp, row = row_head / a.heads;
  if (row >= a.rows) return;
  const int head = static_cast<int>(row_head % a.heads), group = head / (a.heads / a.groups);
  const int slot = a.slot[row], last = a.position[row];
  const int64_t query_position = query_positions[row];
  if (!a.cache.has(slot, last)) {
    a.refusal.raise();
    return;
  }
  const auto* q = static_cast<const Element*>(a.q) + row_head * a.head_size;
  float query[kBiasedColumns], sums[kBiasedColumns];
#pragma unroll
  for (int i = 0; i < kBiasedColumns; ++i) {
    const int column = i * kWarpLanes + lane;
    query[i] = column < a.head_size ? to_float(q[column]) * a.scale : 0;
    sums[i] = 0;
  }
  float maximum = kUnseen, total = 0;
  for (int key = a.seen.first(last); key <= last; ++key) {
    const int64_t in = a.cache.row(slot, key), from = in * a.groups + group;
    if (in < 0) {
      a.refusal.raise();
      return;
    }
    float score = 0;
#pragma unroll
    for (int i = 0; i < kBiasedColumns; ++i) {
      const int column = i * kWarpLanes + lane;
      if (column < a.head_size) {
        score = fmaf(query[i], cached<Element>(a.keys, a.key_scales, from, a.head_size, column), score);
      }
    }
    const int64_t away = key - query_position, distance = away < -reach ? -reach : away > reach ? reach : away;
    score = fmaf(bias[(distance + reach) * a.heads + head], kLog2E, warp_sum(score));
    const float highest = fmaxf(maximum, score), base = softmax_base(highest);
    const float before = power_of_two(maximum - base), now = power_of_two(score - base);
    maximum = highest;
    total = fmaf(total, before, now);
#pragma unroll
    for (int i = 0; i < kBiasedColumns; ++i) {
      const int column = i * kWarpLanes + lane;
      if (column < a.head_size) {
        const float value = cached<Element>(a.values, a.value_scales, from, a.head_size, column);
        sums[i] = fmaf(sums[i], before, value * now);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kBiasedColumns; ++i) {
    const int column = i * kWarpLanes + lane;
    if (column < a.head_size) {
      static_cast<Element*>(a.out)[row_head * a.head_size + column] = from_float<Element>(sums[i] * (1 / total));
    }
  }
}

// The `count` rows from `first` on.
AttendingRows part_of(const AttendingRows& a, int64_t first, int64_t count, int64_t row_bytes) {
  AttendingRows part = a;
  part.q = static_cast<const char*>(a.q) + first * row_bytes;
  part.out = static_cast<char*>(a.out) + first * row_bytes;
  part.slot += first;
  part.position += first;
  part.rows = static_cast<int>(count);
  return part;
}

// Keeps check_place_values for the kernels.
void keep_cache_checks(Launcher& launch, const moe_cache_places& places, VisibleKeys visible) {
  launch.stream().keep_checks(
      [keys = *places.keys, table = *places.table, slot = *places.slot, position = *places.position, visible] {
        const HostTensor blocks(table), of_rows(slot), at(position);
        std::vector<int32_t> entries(static_cast<size_t>(element_count(table)));
        std::vector<int32_t> slots(static_cast<size_t>(element_count(slot))), positions(slots.size());
        check_place_values({sizeof(moe_cache_places), &keys, &keys, nullptr, nullptr, &blocks, &of_rows, &at}, visible,
                           entries.data(), slots.data(), positions.data());
      });
}

CacheBlocks blocks_of(const moe_cache_places& places) {
  return {.table = data<int32_t>(*places.table),
          .blocks = places.keys->shape[0],
          .slots = static_cast<int>(places.table->shape[0]),
          .entries = static_cast<int>(places.table->shape[1]),
          .block = static_cast<int>(std::min<int64_t>(places.keys->shape[1], std::numeric_limits<int>::max())),
          .capacity = static_cast<int>(cache_capacity(places))};
}

// The rows of a call. The host checks their cache positions if a kernel refuses one.
AttendingRows attending(Launcher& launch, const moe_attention_config& config, Tensor q, OptionalTensor sinks,
                        const moe_cache_places& places, Tensor out) {
  Tensor keys = *places.keys, values = *places.values;
  const int64_t head_size = q.shape[2];
  keep_cache_checks(launch, places, VisibleKeys::of(config));
  return {.q = q.data,
          .keys = keys.data,
          .values = values.data,
          .key_scales = data<float>(places.key_scales),
          .value_scales = data<float>(places.value_scales),
          .out = out.data,
          .logsumexp = nullptr,
          .slot = data<int32_t>(*places.slot),
          .position = data<int32_t>(*places.position),
          .cache = blocks_of(places),
          .refusal = launch.refusal(),
          .rows = static_cast<int>(q.shape[0]),
          .heads = static_cast<int>(q.shape[1]),
          .groups = static_cast<int>(keys.shape[2]),
          .head_size = static_cast<int>(head_size),
          .sinks = data<float>(sinks),
          .scale = config.scale * kLog2E,
          .cap = config.soft_cap * kLog2E,
          .seen = SeenKeys::of(config),
          .aligned = in_vectors(q, head_size) && in_vectors(keys, head_size) && in_vectors(values, head_size) &&
                     in_vectors(out, head_size)};
}

}  // namespace

void cache_append(Stream& stream, Tensor k, Tensor v, const moe_cache_places& places) {
  Launcher launch(stream);
  Tensor keys = *places.keys, values = *places.values, slot = *places.slot, position = *places.position;
  const int64_t rows = k.shape[0], width = k.shape[1] * k.shape[2];
  keep_cache_checks(launch, places, {1});
  if (keys.dtype == MOE_INT8) {
    visit_floating(k, [&](auto element) {
      using Element = decltype(element);
      launch(cache_append_int8_kernel<Element>, static_cast<unsigned>(rows), kAppendThreads, 0, data<Element>(k),
             data<Element>(v), data<int32_t>(slot), data<int32_t>(position), static_cast<int>(k.shape[1]),
             static_cast<int>(k.shape[2]), static_cast<int>(rows), blocks_of(places), data<int8_t>(keys),
             data<int8_t>(values), data<float>(places.key_scales), data<float>(places.value_scales), launch.refusal());
    });
    return;
  }
  const auto append = [&](auto unit, int64_t units) {
    using Unit = decltype(unit);
    launch(cache_append_kernel<Unit>, static_cast<unsigned>(rows), kAppendThreads, 0, data<Unit>(k), data<Unit>(v),
           data<int32_t>(slot), data<int32_t>(position), units, static_cast<int>(rows), blocks_of(places),
           data<Unit>(keys), data<Unit>(values), launch.refusal());
  };
  if (in_vectors(k, width) && in_vectors(v, width) && in_vectors(keys, width) && in_vectors(values, width)) {
    append(Vector<uint32_t, 4>{}, width * dtype_bytes(k.dtype) / 16);
  } else if (k.dtype == MOE_BFLOAT16) {
    append(uint16_t{}, width);
  } else {
    append(uint32_t{}, width);
  }
}

void attention_decode(Stream& stream, const moe_attention_config& config, Tensor q, OptionalTensor sinks,
                      const moe_cache_places& places, Tensor out) {
  Launcher launch(stream);
  const int64_t rows = q.shape[0], heads = q.shape[1], head_size = q.shape[2];
  const auto dtype = static_cast<moe_dtype>(q.dtype);
  const AttendingRows all = attending(launch, config, q, sinks, places, out);
  const CacheBlocks& cache = all.cache;
  // The host does not know the positions, so there are chunks for the whole capacity. Blocks of unused chunks end at
  // once.
  const int64_t chunks = std::max<int64_t>(1, ceil_div(cache.capacity, kChunk));
  // Tiles of wide heads are the same with and without splits: if they fill the GPU, splits only cost their sums.
  const int64_t wide_tiles =
      head_size > kMostTrainedHeadSize ? rows * all.groups * ceil_div(heads / all.groups, int64_t{kWideRows}) : 0;
  if (rows >= kLongRun * cache.slots || wide_tiles >= launch.processors() || chunks > kMostChunks) {
    attend_rows(launch, dtype, all);
    return;
  }
  if (chunks == 1) {
    attend_chunks(launch, dtype, all, 1, nullptr, nullptr);
    return;
  }
  const int64_t floats = heads * chunks * (head_size + 2);  // floats of scratch memory per row
  const int64_t at_once = std::clamp<int64_t>(kMostScratchBytes / (4 * floats), 1, std::max<int64_t>(1, rows));
  float* sums = launch.take<float>(at_once * heads * chunks * head_size);
  float* statistics = launch.take<float>(at_once * heads * chunks * 2);
  for (int64_t first = 0; first < rows; first += at_once) {
    const int64_t count = std::min(at_once, rows - first);
    const AttendingRows part = part_of(all, first, count, heads * head_size * dtype_bytes(q.dtype));
    attend_chunks(launch, dtype, part, chunks, sums, statistics);
    visit_floating(q, [&](auto element) {
      launch(merge_chunks_kernel<decltype(element)>, static_cast<unsigned>(count * heads), kMergeThreads, 0, part,
             static_cast<int>(chunks), sums, statistics);
    });
  }
}

void attention_biased(Stream& stream, const moe_attention_config& config, const moe_relative_bias& bias, Tensor q,
                      const moe_cache_places& places, Tensor out) {
  if (q.shape[2] > kBiasedColumns * kWarpLanes) {
    fail(MOE_UNSUPPORTED, "the head size is ", q.shape[2], ", CUDA serves up to ", kBiasedColumns * kWarpLanes);
  }
  Launcher launch(stream);
  const AttendingRows all = attending(launch, config, q, nullptr, places, out);
  const int64_t blocks = ceil_div(q.shape[0] * q.shape[1], int64_t{kBiasedThreads / kWarpLanes});
  visit_floating(q, [&](auto element) {
    launch(biased_kernel<decltype(element)>, static_cast<unsigned>(blocks), kBiasedThreads, 0, all,
           data<float>(*bias.bias), data<int32_t>(*bias.position), static_cast<int>(bias.bias->shape[0] / 2));
  });
}

}  // namespace moe::cuda
