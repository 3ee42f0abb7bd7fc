// Cross-entropy of given logits with label smoothing. Formulas and shapes: cpu/cross_entropy.cc. A block takes a row:
// one pass for maximum and sum, one for the gradient. Bound by bytes; the second pass hits the L2 cache while the rows
// of all running blocks fit it.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Loss*'. Time: ./panamoe bench train-step --device cuda.
#include "cuda/loss/cross_entropy.h"

#include "core/check.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/kernels.h"
#include "cuda/kernel/vector.h"
#include "cuda/loss/online_softmax.h"

namespace moe::cuda {
namespace {

constexpr unsigned kMostThreads = 512;
constexpr int kHeld = 4;  // vectors of a row per thread: rows with more get more threads, up to kMostThreads

// The loss of a row of logits and, if dlogits is given, its gradient, which may alias the logits. `more`, if given, is
// added before dloss multiplies; a soft cap of the logits is as in cpu/cross_entropy.cc; `remainder`, if given,
// receives the rounding error of dlogits.
template <bool vectorized, typename X, typename Dx>
__global__ void __launch_bounds__(kMostThreads)
    losses_kernel(const X* logits, int64_t classes, const int32_t* targets, float smoothing, float dloss, float cap,
                  float* losses, const float* more, Dx* dlogits, Dx* remainder, Refusal refusal) {
  constexpr int count = kVectorOf<X>;
  MOE_SHARED(float, peaks, [kMostWarps]);
  MOE_SHARED(float, sums, [kMostWarps]);
  MOE_SHARED(float, totals, [kMostWarps]);
  const int64_t row = blockIdx.x, target = targets[row];
  const X* x = logits + row * classes;
  Dx* dx = dlogits == nullptr ? nullptr : dlogits + row * classes;
  Dx* rest = remainder == nullptr ? nullptr : remainder + row * classes;
  const int64_t first = int64_t{threadIdx.x} * count, stride = int64_t{blockDim.x} * count;
  if (target < 0 || target >= classes) {
    if (threadIdx.x == 0) {
      if (target != -1) refusal.raise();
      losses[row] = 0;
    }
    for (int64_t i = first; dx != nullptr && i < classes; i += stride) {
      const float zeros[count] = {};
      store_floats<vectorized>(dx, i, classes, zeros);
      if (rest != nullptr) store_floats<vectorized>(rest, i, classes, zeros);
    }
    return;
  }

  const float target_logit = to_float(x[target]);
  OnlineSoftmax softmax;
  float total = 0;  // sum of x - x[target], for the smoothing
  for (int64_t i = first; i < classes; i += stride) {
    float values[count];
    load_floats<vectorized>(x, i, classes, values, -INFINITY);
    softmax.add(values, 1);
    if (!(smoothing > 0)) continue;
#pragma unroll
    for (int k = 0; k < count; ++k) {
      if (vectorized || i + k < classes) total += values[k] - target_logit;
    }
  }
  softmax.combine_block(1, peaks, sums);
  const float peak = softmax.peak, sum = softmax.sum;
  const float relative_target = target_logit - peak, even = smoothing / static_cast<float>(classes);
  float loss = logf(sum) - relative_target;
  if (smoothing > 0) loss -= even * block_sum(total, totals);  // -inf logits are legal without smoothing
  if (threadIdx.x == 0) losses[row] = loss;
  if (dx == nullptr) return;

  const float share = 1.0f / sum;
  for (int64_t i = first; i < classes; i += stride) {
    float values[count], others[count] = {};
    load_floats<vectorized>(x, i, classes, values);
    if (more != nullptr) load_floats<vectorized>(more + row * classes, i, classes, others);
#pragma unroll
    for (int k = 0; k < count; ++k) {
      float gradient = fmaf(expf(values[k] - peak), share, -even) + others[k];
      if (i + k == target) gradient -= 1.0f - smoothing;
      if (cap > 0) gradient *= 1.0f - values[k] / cap * (values[k] / cap);
      values[k] = dloss * gradient;
    }
    store_floats<vectorized>(dx, i, classes, values);
    if (rest == nullptr) continue;
#pragma unroll
    for (int k = 0; k < count; ++k) values[k] -= to_float(from_float<Dx>(values[k]));
    store_floats<vectorized>(rest, i, classes, values);
  }
}

}  // namespace

void losses_of_rows(Launcher& launch, const moe_token_losses& tokens, Tensor logits, OptionalTensor more,
                    OptionalTensor dlogits, OptionalTensor remainder) {
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  visit_floating(logits, [&](auto from) {
    visit_floating(dlogits == nullptr ? logits : *dlogits, [&](auto to) {
      using X = decltype(from);
      using Dx = decltype(to);
      const auto run = [&](auto vectorized) {
        const unsigned threads = row_threads(classes, kVectorOf<X>, kHeld, kMostThreads);
        launch(losses_kernel<vectorized(), X, Dx>, static_cast<unsigned>(rows), threads, 0, data<X>(logits), classes,
               data<int32_t>(tokens.targets), tokens.label_smoothing, tokens.dloss, tokens.logit_cap,
               data<float>(tokens.losses), data<float>(more), data<Dx>(dlogits), data<Dx>(remainder), launch.refusal());
      };
      visit_vectorized<kVectorOf<X>>(classes, run, data<X>(logits), data<float>(more), data<Dx>(dlogits),
                                     data<Dx>(remainder));
    });
  });
}

void cross_entropy(Stream& stream, const moe_token_losses& tokens, Tensor logits, OptionalTensor dlogits) {
  Launcher launch(stream);
  launch.stream().keep_checks([targets = *tokens.targets, classes = logits.shape[1]] {
    check_range_values("targets", HostTensor(targets), -1, classes);
  });
  losses_of_rows(launch, tokens, logits, nullptr, dlogits, nullptr);
}

}  // namespace moe::cuda
