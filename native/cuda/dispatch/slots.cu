// Tables for an exchange of slots (core/slots.h). Formulas: cpu/slots.cc. One block each: a message has few counts, and
// both kernels stand between others that move the rows.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Slots*'.
#include "core/slots.h"

#include <algorithm>

#include "cuda/device/host_tensor.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/kernel/scan.h"
#include "cuda/kernel/shared.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;

// A thread per expert. Illegal offsets are refused, and send nothing.
__global__ void __launch_bounds__(kThreads)
    slot_starts_kernel(const int* offsets, int64_t experts, Slots slots, int* starts, Refusal refusal) {
  for (int64_t e = threadIdx.x; e < experts; e += kThreads) {
    const int64_t rank = ((e + 1) * slots.ranks + experts - 1) / experts - 1;
    const int64_t first = rank * experts / slots.ranks, last = (rank + 1) * experts / slots.ranks;
    const int64_t begin = offsets[first], before = offsets[e] - begin, count = int64_t{offsets[e + 1]} - offsets[e];
    const bool legal = offsets[0] == 0 && before >= 0 && count >= 0 && offsets[last] - begin <= slots.capacity &&
                       before + count <= slots.capacity;
    if (!legal) refusal.raise();
    starts[e] = static_cast<int>(rank * slots.rows + (legal ? before : 0));
    slots.words[(rank + 1) * slots.width - slots.counts + e - first] = legal ? static_cast<int>(count) : 0;
  }
  if (threadIdx.x == 0) starts[experts] = static_cast<int>(slots.ranks * slots.rows);
}

// Illegal counts are refused, and write no route outside their message.
__global__ void __launch_bounds__(kThreads)
    slot_routes_kernel(Slots slots, int64_t held, int* expert, int* position, int* offsets, Refusal refusal) {
  MOE_SHARED(int64_t, table, [kMostWarps]);
  const auto count = [&](int64_t rank, int64_t e) -> int64_t {
    const int value = slots.words[(rank + 1) * slots.width - slots.counts + e];
    if (value < 0 || value > slots.capacity) refusal.raise();
    return value < 0 || value > slots.capacity ? 0 : value;
  };
  for (int64_t i = threadIdx.x; i < slots.ranks * slots.rows; i += kThreads) expert[i] = position[i] = -1;
  int64_t rows = 0;  // of earlier experts
  for (int64_t first = 0; first < held; first += kThreads) {
    const int64_t e = first + threadIdx.x;
    int64_t sum = 0, total;
    for (int64_t rank = 0; e < held && rank < slots.ranks; ++rank) sum += count(rank, e);
    const int64_t before = rows + block_scan(sum, table, total);
    if (e < held) offsets[e] = static_cast<int>(before);
    rows += total;
    __syncthreads();
  }
  if (threadIdx.x == 0) offsets[held] = static_cast<int>(rows);
  // A thread per message and expert.
  for (int64_t i = threadIdx.x; i < slots.ranks * held; i += kThreads) {
    const int64_t rank = i / held, e = i % held;
    int64_t slot = 0, place = 0;
    for (int64_t f = 0; f < e; ++f) slot += count(rank, f);
    for (int64_t r = 0; r < rank; ++r) place += count(r, e);
    const int64_t own = count(rank, e);
    if (slot + own > slots.capacity) refusal.raise();
    for (int64_t j = 0; j < own && slot + j < slots.capacity; ++j) {
      expert[rank * slots.rows + slot + j] = static_cast<int>(e);
      position[rank * slots.rows + slot + j] = static_cast<int>(place + j);
    }
  }
}

}  // namespace

void slot_starts(Stream& stream, int64_t rows, Tensor offsets, Tensor slots, Tensor starts) {
  const int64_t experts = offsets.shape[0] - 1;
  const Slots to(slots, rows, ceil_div(experts, slots.shape[0]));
  Launcher launch(stream);
  launch.stream().keep_checks([to, offsets, experts] {
    const HostTensor sent(offsets);
    check_offset_values(sent, INT64_MAX, nullptr);
    check_slot_offsets(to, static_cast<const int32_t*>(sent.data), experts);
  });
  launch(slot_starts_kernel, 1, kThreads, 0, static_cast<const int*>(offsets.data), experts, to,
         static_cast<int*>(starts.data), launch.refusal());
}

void slot_routes(Stream& stream, int64_t counts, Tensor slots, Tensor expert, Tensor position, Tensor offsets) {
  const int64_t held = offsets.shape[0] - 1, rows = expert.shape[0] / slots.shape[0];
  const Slots from(slots, rows, counts);
  Launcher launch(stream);
  launch.stream().keep_checks([slots, rows, counts, held] {
    const HostTensor messages(slots);
    check_slot_counts(Slots(messages, rows, counts), held, nullptr);
  });
  launch(slot_routes_kernel, 1, kThreads, 0, from, held, static_cast<int*>(expert.data),
         static_cast<int*>(position.data), static_cast<int*>(offsets.data), launch.refusal());
}

}  // namespace moe::cuda
