// Token embedding plus position embedding. Formulas and shapes: cpu/embedding.cc.
//
// The backward adds rows of equal ids in token order without atomics. It sorts tokens by id (embedding_order.cu);
// sum_runs adds the rows of equal ids within chunks of that order; join_runs adds the runs that span chunks. Chunks are
// fixed, so sums do not depend on the GPU.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Embedding*'.
// Time: ./panamoe bench train-step --device cuda.
#include "core/check.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/embedding/embedding_order.h"
#include "cuda/gemm/block_formats.h"
#include "cuda/kernel/vector.h"

namespace moe::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr int kChunk = 32;  // sorted tokens per block; fixed, because it sets the order of sums
constexpr int kAhead = 4;   // rows whose loads are in flight at once

// threadIdx.y is a token of the block, threadIdx.x its columns. Bound by bytes: reads one or two rows, writes one.
template <bool vectorized, typename Table, typename Position, typename Y>
__global__ void __launch_bounds__(kThreads)
    look_up_kernel(const int32_t* ids, const Table* table, int64_t table_rows, const int32_t* positions,
                   const Position* position_table, int64_t position_rows, int64_t tokens, int64_t width, Y* y,
                   Refusal refusal) {
  constexpr int count = kVectorOf<Table>;
  const int64_t token = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (token >= tokens) return;
  const int64_t id = ids[token], position = positions == nullptr ? 0 : positions[token];
  if (id < 0 || id >= table_rows || (positions != nullptr && (position < 0 || position >= position_rows))) {
    if (threadIdx.x == 0) refusal.raise();
    return;
  }
  for (int64_t i = int64_t{threadIdx.x} * count; i < width; i += int64_t{blockDim.x} * count) {
    float values[count];
    load_floats<vectorized>(table + id * width, i, width, values);
    if (positions != nullptr) {
      float added[count];
      load_floats<vectorized>(position_table + position * width, i, width, added);
#pragma unroll
      for (int k = 0; k < count; ++k) values[k] += added[k];
    }
    store_floats<vectorized>(y + token * width, i, width, values);
  }
}

// look_up_kernel for a table in blocks, a token per block. The row's bytes are copied to shared memory first, because
// word_at reads past them.
template <class Format, typename Position, typename Y>
__global__ void __launch_bounds__(kThreads)
    look_up_blocks_kernel(const int32_t* ids, const unsigned char* table, int64_t table_rows, const int32_t* positions,
                          const Position* position_table, int64_t position_rows, int64_t width, Y* y, Refusal refusal) {
  MOE_DYNAMIC_SHARED(unsigned char, row);
  const int64_t token = blockIdx.x, bytes = width / Format::kElements * Format::kBytes;
  const int64_t id = ids[token], position = positions == nullptr ? 0 : positions[token];
  if (id < 0 || id >= table_rows || (positions != nullptr && (position < 0 || position >= position_rows))) {
    if (threadIdx.x == 0) refusal.raise();
    return;
  }
  for (int64_t i = threadIdx.x; i < bytes; i += blockDim.x) row[i] = table[id * bytes + i];
  __syncthreads();
  for (int64_t i = int64_t{threadIdx.x} * 4; i < width; i += int64_t{blockDim.x} * 4) {
    float values[4];
    decode_four<Format>(row, i, values);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (positions != nullptr) values[j] += to_float(position_table[position * width + i + j]);
      y[token * width + i + j] = from_float<Y>(values[j]);
    }
  }
}

// The id of the p-th sorted token; `rows` for an id outside the table, which sorts last.
__device__ __forceinline__ int64_t id_at(const int32_t* ids, const int32_t* order, int64_t p, int64_t rows) {
  const int64_t id = ids[order[p]];
  return id < 0 || id >= rows ? rows : id;
}

// A block sums dy over the runs of equal ids in a chunk. A run within the chunk is added to the table; a run that began
// in an earlier chunk is written to leading[chunk], one that continues in the next chunk to trailing[chunk]. Bound by
// reading dy once.
template <bool vectorized, typename Dy>
__global__ void __launch_bounds__(kThreads)
    sum_runs_kernel(const int32_t* ids, const int32_t* order, int64_t tokens, int64_t rows, const Dy* dy, int64_t width,
                    float* table, float* leading, float* trailing) {
  constexpr int count = kVectorOf<Dy>;
  MOE_SHARED(int32_t, tokens_of, [kChunk]);
  MOE_SHARED(int64_t, ids_of, [kChunk + 2]);  // with one more on each side: -1 before the first and after the last
  const int64_t begin = int64_t{blockIdx.x} * kChunk;
  const int size = static_cast<int>(tokens - begin < kChunk ? tokens - begin : kChunk);
  for (int j = static_cast<int>(threadIdx.x); j < size + 2; j += static_cast<int>(blockDim.x)) {
    const int64_t p = begin + j - 1;
    ids_of[j] = p < 0 || p >= tokens ? -1 : id_at(ids, order, p, rows);
    if (j < size) tokens_of[j] = order[begin + j];
  }
  __syncthreads();
  const int64_t i = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * count;
  if (i >= width) return;
  float sum[count] = {};
  bool began_before = ids_of[0] == ids_of[1];
  for (int first = 0; first < size; first += kAhead) {
    float values[kAhead][count];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      if (first + a < size) load_floats<vectorized>(dy + tokens_of[first + a] * width, i, width, values[a]);
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int j = first + a;
      if (j >= size) break;
      const int64_t id = ids_of[j + 1];
      if (id == rows) return;  // refused ids
#pragma unroll
      for (int k = 0; k < count; ++k) sum[k] += values[a][k];
      const bool goes_on = ids_of[j + 2] == id;
      if (goes_on && j + 1 < size) continue;
      if (began_before) {
        store_floats<vectorized>(leading + blockIdx.x * width, i, width, sum);
      } else if (goes_on) {
        store_floats<vectorized>(trailing + blockIdx.x * width, i, width, sum);
      } else {
        float total[count];
        load_floats<vectorized>(table + id * width, i, width, total);
#pragma unroll
        for (int k = 0; k < count; ++k) total[k] += sum[k];
        store_floats<vectorized>(table + id * width, i, width, total);
      }
      began_before = false;
#pragma unroll
      for (int k = 0; k < count; ++k) sum[k] = 0;
    }
  }
}

// Adds the parts of a run that spans chunks to the table, in order. The block of the run's first chunk does it.
template <bool vectorized>
__global__ void __launch_bounds__(kThreads)
    join_runs_kernel(const int32_t* ids, const int32_t* order, int64_t tokens, int64_t rows, int64_t width,
                     float* table, const float* leading, const float* trailing) {
  constexpr int count = kVectorOf<float>;
  const int64_t begin = int64_t{blockIdx.x} * kChunk, next = begin + kChunk;
  if (next >= tokens) return;
  const int64_t id = id_at(ids, order, next - 1, rows);
  if (id == rows || id_at(ids, order, next, rows) != id) return;
  if (begin > 0 && id_at(ids, order, begin - 1, rows) == id) return;  // the run began in an earlier chunk
  const int64_t i = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * count;
  if (i >= width) return;
  float total[count], part[count];
  load_floats<vectorized>(table + id * width, i, width, total);
  load_floats<vectorized>(trailing + blockIdx.x * width, i, width, part);
#pragma unroll
  for (int k = 0; k < count; ++k) total[k] += part[k];
  for (int64_t p = next; p < tokens && id_at(ids, order, p, rows) == id; p += kChunk) {
    load_floats<vectorized>(leading + p / kChunk * width, i, width, part);
#pragma unroll
    for (int k = 0; k < count; ++k) total[k] += part[k];
  }
  store_floats<vectorized>(table + id * width, i, width, total);
}

void scatter_add(Launcher& launch, Tensor ids, Tensor dy, Tensor dtable) {
  const int64_t tokens = ids.shape[0], rows = dtable.shape[0], width = dtable.shape[1];
  if (tokens == 0 || width == 0) return;
  const Arena::Frame frame(launch.stream().arena());
  const auto* id = data<int32_t>(ids);
  const int32_t* order = order_by_id(launch, id, tokens, rows);
  const auto chunks = static_cast<unsigned>(ceil_div(tokens, kChunk));
  auto* leading = launch.take<float>(2 * chunks * width);
  auto* trailing = leading + chunks * width;
  auto* table = data<float>(dtable);
  visit_floating(dy, [&](auto from) {
    using Dy = decltype(from);
    constexpr int count = kVectorOf<Dy>;
    const unsigned threads = row_threads(width, count, 1, kThreads);
    const dim3 grid(chunks, static_cast<unsigned>(ceil_div(width, threads * count)));
    const auto run = [&](auto vectorized) {
      launch(sum_runs_kernel<vectorized(), Dy>, grid, threads, 0, id, order, tokens, rows, data<Dy>(dy), width, table,
             leading, trailing);
    };
    visit_vectorized<count>(width, run, data<Dy>(dy), table, leading, trailing);
  });
  constexpr int count = kVectorOf<float>;
  const unsigned threads = row_threads(width, count, 1, kThreads);
  const dim3 grid(chunks, static_cast<unsigned>(ceil_div(width, threads * count)));
  const auto run = [&](auto vectorized) {
    launch(join_runs_kernel<vectorized()>, grid, threads, 0, id, order, tokens, rows, width, table, leading, trailing);
  };
  visit_vectorized<count>(width, run, table, leading, trailing);
}

}  // namespace

void embedding_forward(Stream& stream, Tensor ids, Tensor table, OptionalTensor positions,
                       OptionalTensor position_table, Tensor y) {
  Launcher launch(stream);
  const int64_t tokens = ids.shape[0], width = table.shape[1];
  const auto table_of = [](OptionalTensor tensor) -> Tensor { return *tensor; };
  launch.stream().keep_checks([ids, rows = table.shape[0]] { check_range_values("ids", HostTensor(ids), 0, rows); });
  if (positions != nullptr) {
    launch.stream().keep_checks([positions = *positions, rows = position_table->shape[0]] {
      check_range_values("positions", HostTensor(positions), 0, rows);
    });
  }
  const int64_t position_rows = positions == nullptr ? 0 : position_table->shape[0];
  const auto visit_others = [&](auto&& run) {
    visit_floating(positions == nullptr ? y : table_of(position_table),
                   [&](auto added) { visit_floating(y, [&](auto to) { run(added, to); }); });
  };
  if (in_blocks(table.dtype)) {
    visit_others([&](auto added, auto to) {
      with_block_dtype(table.dtype, [&](auto dtype) {
        using Format = BlockTraits<dtype.value>;
        const auto bytes = static_cast<size_t>(width / Format::kElements * Format::kBytes) + sizeof(uint64_t);
        launch(look_up_blocks_kernel<Format, decltype(added), decltype(to)>, static_cast<unsigned>(tokens), kThreads,
               bytes, data<int32_t>(ids), static_cast<const unsigned char*>(table.data), table.shape[0],
               data<int32_t>(positions), data<decltype(added)>(position_table), position_rows, width,
               data<decltype(to)>(y), launch.refusal());
      });
    });
    return;
  }
  visit_floating(table, [&](auto from) {
    visit_others([&](auto added, auto to) {
      using Table = decltype(from);
      using Position = decltype(added);
      using Y = decltype(to);
      constexpr int count = kVectorOf<Table>;
      const unsigned threads = row_threads(width, count, 1, kThreads), together = kThreads / threads;
      const auto run = [&](auto vectorized) {
        launch(look_up_kernel<vectorized(), Table, Position, Y>, static_cast<unsigned>(ceil_div(tokens, together)),
               dim3(threads, together), 0, data<int32_t>(ids), data<Table>(table), table.shape[0],
               data<int32_t>(positions), data<Position>(position_table), position_rows, tokens, width, data<Y>(y),
               launch.refusal());
      };
      visit_vectorized<count>(width, run, data<Table>(table), data<Position>(position_table), data<Y>(y));
    });
  });
}

void embedding_backward(Stream& stream, Tensor ids, OptionalTensor positions, Tensor dy, Tensor dtable,
                        OptionalTensor dposition_table) {
  Launcher launch(stream);
  launch.stream().keep_checks([ids, rows = dtable.shape[0]] { check_range_values("ids", HostTensor(ids), 0, rows); });
  scatter_add(launch, ids, dy, dtable);
  if (positions == nullptr) return;
  launch.stream().keep_checks([positions = *positions, rows = dposition_table->shape[0]] {
    check_range_values("positions", HostTensor(positions), 0, rows);
  });
  scatter_add(launch, *positions, dy, *dposition_table);
}

}  // namespace moe::cuda
