#include "cuda/cross_entropy.h"

#include "core/check.h"
#include "cuda/kernels.h"
#include "cuda/packed.h"
#include "cuda/reduce.h"

namespace moe::cuda {
namespace {

constexpr unsigned kMostThreads = 512;
constexpr int kHeld = 4;  // packs of a row for which another thread is worth having
constexpr float kLowest = -3.402823466e38f;

// The loss of a row of logits, a block each, and where wanted its gradient, which may take the place of the logits.
// With p the softmax and a the smoothing: loss = log sum exp x - (1 - a) x[target] - a mean x, and
// d loss / d x[v] = p[v] - a / V - (1 - a) [v = target].
// Logits are read once for the loss, maximum and sum in one go, and once more, from the second-level cache where the
// rows under way fit, for the gradient. Bound by those bytes. `remainder`, where it is given, receives what the
// gradient lost when it was rounded to dlogits.
template <bool packed, typename X, typename Dx>
__global__ void __launch_bounds__(kMostThreads)
    losses_kernel(const X* logits, int64_t classes, const int32_t* targets, float smoothing, float dloss, float* losses,
                  Dx* dlogits, Dx* remainder, Refusal refusal) {
  constexpr int count = kPackOf<X>;
  __shared__ float peaks[kMostWarps], sums[kMostWarps], totals[kMostWarps];
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
      store_floats<packed>(dx, i, classes, zeros);
      if (rest != nullptr) store_floats<packed>(rest, i, classes, zeros);
    }
    return;
  }

  const float target_logit = to_float(x[target]);
  float peak = kLowest, sum = 0, total = 0;  // total: of x - x[target], which the smoothing needs
  for (int64_t i = first; i < classes; i += stride) {
    float values[count];
    load_floats<packed>(x, i, classes, values, -INFINITY);
    float most = peak;
#pragma unroll
    for (int k = 0; k < count; ++k) most = fmaxf(most, values[k]);
    if (most > peak) {
      sum *= expf(peak - most);
      peak = most;
    }
#pragma unroll
    for (int k = 0; k < count; ++k) {
      sum += expf(values[k] - peak);
      if (smoothing > 0 && (packed || i + k < classes)) total += values[k] - target_logit;
    }
  }
  const float own_peak = peak;
  peak = block_max(own_peak, peaks);
  sum = block_sum(sum * expf(own_peak - peak), sums);
  const float relative_target = target_logit - peak, even = smoothing / static_cast<float>(classes);
  float loss = logf(sum) - relative_target;
  if (smoothing > 0) loss -= even * block_sum(total, totals);  // else a class of logit minus infinity would spoil it
  if (threadIdx.x == 0) losses[row] = loss;
  if (dx == nullptr) return;

  const float share = 1.0f / sum;
  for (int64_t i = first; i < classes; i += stride) {
    float values[count];
    load_floats<packed>(x, i, classes, values);
#pragma unroll
    for (int k = 0; k < count; ++k) {
      float gradient = fmaf(expf(values[k] - peak), share, -even);
      if (i + k == target) gradient -= 1.0f - smoothing;
      values[k] = dloss * gradient;
    }
    store_floats<packed>(dx, i, classes, values);
    if (rest == nullptr) continue;
#pragma unroll
    for (int k = 0; k < count; ++k) values[k] -= to_float(from_float<Dx>(values[k]));
    store_floats<packed>(rest, i, classes, values);
  }
}

}  // namespace

void losses_of_rows(Launch& launch, const moe_token_losses& tokens, Tensor logits, OptionalTensor dlogits,
                    OptionalTensor remainder) {
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  visit_floating(logits, [&](auto from) {
    visit_floating(dlogits == nullptr ? logits : *dlogits, [&](auto to) {
      using X = decltype(from);
      using Dx = decltype(to);
      const auto run = [&](auto packed) {
        const unsigned threads = row_threads(classes, kPackOf<X>, kHeld, kMostThreads);
        launch(losses_kernel<packed(), X, Dx>, static_cast<unsigned>(rows), threads, 0, data<X>(logits), classes,
               data<int32_t>(tokens.targets), tokens.label_smoothing, tokens.dloss, data<float>(tokens.losses),
               data<Dx>(dlogits), data<Dx>(remainder), launch.refusal());
      };
      visit_packed<kPackOf<X>>(classes, run, data<X>(logits), data<Dx>(dlogits), data<Dx>(remainder));
    });
  });
}

void cross_entropy(Stream& stream, const moe_token_losses& tokens, Tensor logits, OptionalTensor dlogits) {
  Launch launch(stream);
  launch.stream().keep_checks(
      [targets = *tokens.targets, classes = logits.shape[1]] { check_range_values("targets", targets, -1, classes); });
  losses_of_rows(launch, tokens, logits, dlogits, nullptr);
}

}  // namespace moe::cuda
