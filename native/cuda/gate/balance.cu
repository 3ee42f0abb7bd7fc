// Load balance of the experts. Formulas and shapes: cpu/gate/balance.cc. The forward takes two launches: a block sums a
// block of tokens per expert, then the blocks' sums are added in order. One block computes the loss from them. In the
// backward, lanes of a warp share a token.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Balance*'. Time: ./panamoe bench balance --device cuda.
#include <algorithm>

#include "core/batch_parts.h"
#include "core/check.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/kernels.h"
#include "cuda/device/launcher.h"
#include "cuda/gate/choice.h"
#include "cuda/kernel/floating.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTokenBlock = 32;  // tokens of a partial sum; fixes the order of sums
constexpr int kSlices = 8;       // warps of a block that adds; each adds every 8th block of tokens for 32 columns

// Blocks of tokens; a block lies within one sequence.
struct Sequences {
  int64_t count, length, blocks;  // blocks per sequence
  int experts;

  Sequences(Tensor scores, Tensor used)
      : count(used.shape[0]),
        length(count == 0 ? 0 : scores.shape[0] / count),
        blocks(ceil_div(length, kTokenBlock)),
        experts(static_cast<int>(scores.shape[1])) {}

  __device__ int64_t begin(int64_t block) const { return block / blocks * length + block % blocks * kTokenBlock; }
  __device__ int tokens(int64_t block) const {
    return static_cast<int>(min(int64_t{kTokenBlock}, length - block % blocks * kTokenBlock));
  }
};

// Bound by reading S E scores. sums [blocks, E + 1]: scores per expert, and the entropy if asked for.
__global__ void __launch_bounds__(kThreads)
    sum_kernel(Sequences sequences, moe_balance_config config, int choices, const float* scores, const int* choice,
               bool with_entropy, double* sums, int* used, int* chosen, Refusal refusal) {
  MOE_DYNAMIC_SHARED(int, counts);             // [E]
  MOE_SHARED(double, weights, [kTokenBlock]);  // factor of a token's scores; 0 for an unused one
  MOE_SHARED(double, entropies, [kTokenBlock]);
  const int experts = sequences.experts;
  const int64_t block = blockIdx.x, sequence = block / sequences.blocks, begin = sequences.begin(block);
  const int here = sequences.tokens(block);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  for (int e = threadIdx.x; e < experts; e += kThreads) counts[e] = 0;
  __syncthreads();
  int used_here = 0;
  for (int t = warp; t < here; t += kThreads / kWarpLanes) {
    const int* of_token = choice + (begin + t) * choices;
    const bool is_used = of_token[0] >= 0;
    used_here += is_used ? 1 : 0;
    if (lane < choices) {
      const int e = of_token[lane];
      if (e < -1 || e >= experts) {
        refusal.raise();
      } else if (is_used && e >= 0 && lane < config.auxiliary_choices) {
        atomicAdd(&counts[e], 1);  // integers: exact in any order
      }
    }
    const float* row = scores + (begin + t) * experts;
    double total = 1, entropy = 0;
    if (config.normalized != 0 || with_entropy) {
      total = 0;
      for (int e = lane; e < experts && is_used; e += kWarpLanes) total += row[e];
      total = warp_sum(total);
    }
    if (with_entropy) {
      for (int e = lane; e < experts && is_used; e += kWarpLanes) {
        const double share = row[e] / total;
        if (share > 0) entropy -= share * log(share);
      }
      entropy = warp_sum(entropy);
    }
    if (lane == 0) {
      weights[t] = !is_used || total == 0 ? 0 : config.normalized != 0 ? 1 / total : 1;
      entropies[t] = entropy;
    }
  }
  if (lane == 0 && used_here > 0) atomicAdd(&used[sequence], used_here);
  __syncthreads();
  double* out = sums + block * (experts + 1);
  for (int e = threadIdx.x; e < experts; e += kThreads) {
    double sum = 0;
    for (int t = 0; t < here; ++t) {
      if (weights[t] != 0) sum += scores[(begin + t) * experts + e] * weights[t];
    }
    out[e] = sum;
    if (counts[e] != 0) atomicAdd(&chosen[sequence * experts + e], counts[e]);
  }
  if (warp == 0) {
    const double entropy = warp_sum(lane < here ? entropies[lane] : 0.0);
    if (lane == 0) out[experts] = entropy;
  }
}

// Adds the sums of a sequence's blocks. Bound by latency.
__global__ void __launch_bounds__(kSlices* kWarpLanes)
    add_kernel(Sequences sequences, const double* sums, double* scores, double* entropy) {
  MOE_SHARED(double, table, [kSlices][kWarpLanes]);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, slice = static_cast<int>(threadIdx.x) / kWarpLanes;
  const int64_t sequence = blockIdx.x;
  const int columns = sequences.experts + 1, column = static_cast<int>(blockIdx.y) * kWarpLanes + lane;
  double sum = 0;
  if (column < columns) {
    const double* first = sums + sequence * sequences.blocks * columns + column;
#pragma unroll 4
    for (int64_t block = slice; block < sequences.blocks; block += kSlices) sum += first[block * columns];
  }
  table[slice][lane] = sum;
  __syncthreads();
  if (slice != 0 || column >= columns) return;
  for (int other = 1; other < kSlices; ++other) sum += table[other][lane];
  if (column < sequences.experts) {
    scores[sequence * sequences.experts + column] = sum;
  } else if (entropy != nullptr) {
    entropy[sequence] = sum;
  }
}

// A thread per expert. Bound by latency.
__global__ void __launch_bounds__(kThreads)
    join_kernel(BatchParts parts, int* used, int* chosen, double* scores, float* z) {
  const int e = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (e < parts.experts) parts.join(e, scores, chosen);
  if (e == 0) parts.join_tokens(used, z);
}

// scale: E / (counted choices sequences). Eight partial sums of every 8th sequence's loss, then their sum in order.
// Bound by latency.
__global__ void __launch_bounds__(kThreads) loss_kernel(int64_t count, int experts, double scale, const int* used,
                                                        const int* chosen, const double* scores, float* loss) {
  MOE_SHARED(double, table, [kMostWarps]);
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes, warp = static_cast<int>(threadIdx.x) / kWarpLanes;
  double sum = 0;
  for (int64_t g = warp; g < count; g += kThreads / kWarpLanes) {
    const double tokens = used[g];
    const double of_choice = tokens > 0 ? scale / (tokens * tokens) : 0;
    for (int e = lane; e < experts; e += kWarpLanes) {
      sum += chosen[g * experts + e] * of_choice * scores[g * experts + e];
    }
  }
  sum = block_sum(sum, table);
  if (threadIdx.x == 0) *loss = static_cast<float>(sum);
}

// scale: dloss E / (counted choices). Bound by bytes: reads S E scores and writes S E gradients.
template <typename Lanes>
__global__ void __launch_bounds__(kThreads)
    balance_backward_kernel(Sequences sequences, int32_t kind, bool normalized, double scale, const float* scores,
                            const int* used, const int* chosen, float* dlogits) {
  MOE_DYNAMIC_SHARED(float, slopes);  // [E]: dL/dp, equal for all tokens of the sequence
  const int experts = sequences.experts;
  const int64_t block = blockIdx.x, sequence = block / sequences.blocks, begin = sequences.begin(block);
  const double tokens = used[sequence];
  const double of_choice = tokens > 0 ? scale / (tokens * tokens) : 0;
  for (int e = threadIdx.x; e < experts; e += kThreads) {
    slopes[e] = static_cast<float>(of_choice * chosen[sequence * experts + e]);
  }
  __syncthreads();
  const int here = sequences.tokens(block);
  Lanes::for_each_token(here, [&](int t) {
    float score[Lanes::each], slope[Lanes::each];
    load_row<Lanes>(scores, begin + t, t < here ? experts : 0, 0, score);
    load_row<Lanes>(slopes, 0, experts, 0, slope);
    float total = 0, mean = 0;
#pragma unroll
    for (int i = 0; i < Lanes::each; ++i) {
      total += score[i];
      mean = fmaf(slope[i], score[i], mean);
    }
    total = normalized ? Lanes::sum(total) : 1;
    const float inverse = total > 0 ? 1 / total : 0;
    mean = normalized || is_softmax(kind) ? Lanes::sum(mean) * inverse : 0;
#pragma unroll
    for (int i = 0; i < Lanes::each; ++i) {
      const float by_log = (slope[i] - mean) * (score[i] * inverse);
      if (t < here && Lanes::expert(i) < experts) {
        dlogits[(begin + t) * experts + Lanes::expert(i)] = by_log * log_slope(kind, score[i]);
      }
    }
  });
}

}  // namespace

void balance_forward(Stream& stream, const moe_balance_config& config, Tensor scores, Tensor choice,
                     const moe_balance_sums& out) {
  Launcher launch(stream);
  const Sequences sequences(scores, *out.used);
  const int64_t experts = sequences.experts, blocks = sequences.count * sequences.blocks;
  launch.stream().keep_checks([choice, experts] { check_range_values("choice", HostTensor(choice), -1, experts); });
  const auto clear = [&](OptionalTensor counts) {
    require(
        cudaMemsetAsync(counts->data, 0, static_cast<size_t>(element_count(*counts)) * sizeof(int), launch.handle()),
        "clearing counts");
  };
  clear(out.used);
  clear(out.chosen);
  auto* sums = launch.take<double>(blocks * (experts + 1));
  launch(sum_kernel, static_cast<unsigned>(blocks), kThreads, static_cast<size_t>(experts) * sizeof(int), sequences,
         config, static_cast<int>(choice.shape[1]), data<float>(scores), data<int>(choice), out.entropy != nullptr,
         sums, data<int>(out.used), data<int>(out.chosen), launch.refusal());
  const dim3 grid(static_cast<unsigned>(sequences.count), static_cast<unsigned>(ceil_div(experts + 1, kWarpLanes)));
  launch(add_kernel, grid, kSlices * kWarpLanes, 0, sequences, sums, data<double>(out.scores),
         data<double>(out.entropy));
}

void balance_join(Stream& stream, Tensor parts, const moe_balance_sums& sums, Tensor z) {
  Launcher launch(stream);
  const BatchParts batch{data<char>(parts), parts.shape[0], sums.chosen->shape[1]};
  launch(join_kernel, static_cast<unsigned>(ceil_div(batch.experts, kThreads)), kThreads, 0, batch,
         data<int>(sums.used), data<int>(sums.chosen), data<double>(sums.scores), data<float>(z));
}

void balance_loss(Stream& stream, const moe_balance_config& config, const moe_balance_sums& sums, int64_t sequences,
                  Tensor loss) {
  const int64_t experts = sums.chosen->shape[1];
  const double scale = static_cast<double>(experts) / (config.auxiliary_choices * static_cast<double>(sequences));
  Launcher launch(stream);
  launch(loss_kernel, 1, kThreads, 0, sums.used->shape[0], static_cast<int>(experts), scale, data<int>(sums.used),
         data<int>(sums.chosen), data<double>(sums.scores), data<float>(loss));
}

void balance_backward(Stream& stream, const moe_balance_config& config, double dloss, Tensor scores,
                      const moe_balance_sums& sums, Tensor dlogits) {
  Launcher launch(stream);
  const Sequences sequences(scores, *sums.used);
  const double scale = dloss * static_cast<double>(sequences.experts) / config.auxiliary_choices;
  visit_token_lanes(sequences.experts, [&](auto shape) {
    launch(balance_backward_kernel<decltype(shape)>, static_cast<unsigned>(sequences.count * sequences.blocks),
           kThreads, static_cast<size_t>(sequences.experts) * sizeof(float), sequences, config.score,
           config.normalized != 0, scale, data<float>(scores), data<int>(sums.used), data<int>(sums.chosen),
           data<float>(dlogits));
  });
}

}  // namespace moe::cuda
