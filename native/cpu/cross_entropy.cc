// Cross-entropy of given logits with label smoothing a.
//
//   loss[s] = log sum_v exp x[s, v] - (1 - a) x[s, target] - a mean_v x[s, v],   0 if the target is -1
//   dx[s, v] = dloss (p[s, v] - a / V - (1 - a) [v = target]),   p = softmax(x[s])
//
// x (logits) [S, V] float32 or bfloat16. If they were capped softly, dx is multiplied by the cap's slope,
// 1 - (x / cap)^2: the gradient before the cap.
// Test: panamoe_test --gtest_filter='Loss*'. Time: attention_bench --only cross-entropy.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/cross_entropy.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include <cmath>
#include <optional>

#include "cpu/cross_entropy.h"
#include "cpu/indices.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/simd/row_softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// The loss of one row of logits. Writes its gradient if dlogits is given, which may alias the logits.
inline float row_loss(Floats logits, int64_t classes, int64_t target, const moe_token_losses& tokens,
                      const std::optional<Floats>& more, const std::optional<Floats>& dlogits) {
  const FloatTag d;
  const float smoothing = tokens.label_smoothing;
  const RowSoftmax softmax(logits, classes, 1);
  const FloatVector target_logit = softmax.exponent(target, 1);
  float loss = std::log(softmax.sum()) - (1 - smoothing) * hn::GetLane(target_logit);
  if (smoothing > 0) {  // a logit of -inf is allowed without smoothing and would make the mean -inf
    FloatVector total = hn::Zero(d);
    for_each_vector(d, 0, classes, [&](int64_t i, size_t n) {
      const FloatVector relative = softmax.exponent(i, n);
      total = hn::Add(total, n == hn::Lanes(d) ? relative : hn::IfThenElseZero(hn::FirstN(d, n), relative));
    });
    loss -= smoothing / static_cast<float>(classes) * hn::ReduceSum(d, total);
  }

  if (dlogits) {
    const FloatVector scale = hn::Set(d, tokens.dloss), share = hn::Set(d, 1.0f / softmax.sum());
    const FloatVector even = hn::Set(d, smoothing / static_cast<float>(classes));
    const auto gradient = [&](FloatVector relative, int64_t i, size_t n) {
      const FloatVector own = hn::MulSub(softmax_exp(relative), share, even);
      return more ? hn::Add(own, more->load(d, i, n)) : own;
    };
    const FloatVector peak = hn::Set(d, softmax.peak()), cap = hn::Set(d, tokens.logit_cap);
    const auto scaled = [&](FloatVector own, FloatVector relative) {
      const FloatVector product = hn::Mul(scale, own);
      return tokens.logit_cap > 0 ? hn::Mul(product, soft_cap_slope(hn::Add(relative, peak), cap)) : product;
    };
    for_each_vector(d, 0, classes, [&](int64_t i, size_t n) {
      const FloatVector relative = softmax.exponent(i, n);
      dlogits->store(d, scaled(gradient(relative, i, n), relative), i, n);
    });
    const FloatVector at_target = hn::Sub(gradient(target_logit, target, 1), hn::Set(d, 1 - smoothing));
    dlogits->store(d, scaled(at_target, target_logit), target, 1);
  }
  return loss;
}

void losses_on_target(Stream& stream, const moe_token_losses& tokens, Tensor logits, OptionalTensor more,
                      OptionalTensor dlogits) {
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  const auto* target = static_cast<const int32_t*>(tokens.targets->data);
  auto* loss = static_cast<float*>(tokens.losses->data);
  parallel_blocks(stream, rows, std::max<int64_t>(1, 16384 / classes), [&](int64_t begin, int64_t end) {
    const FloatTag d;
    for (int64_t row = begin; row < end; ++row) {
      const auto row_of = [&](OptionalTensor matrix) {
        return matrix == nullptr ? std::nullopt : std::optional<Floats>(Floats(*matrix, row * classes));
      };
      const std::optional<Floats> gradient = row_of(dlogits);
      if (target[row] >= 0) {
        loss[row] = row_loss(Floats(logits, row * classes), classes, target[row], tokens, row_of(more), gradient);
        continue;
      }
      loss[row] = 0;
      if (gradient) {
        for_each_vector(d, 0, classes, [&](int64_t i, size_t n) { gradient->store(d, hn::Zero(d), i, n); });
      }
    }
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(losses_on_target);

void losses_of_rows(Stream& stream, const moe_token_losses& tokens, Tensor logits, OptionalTensor more,
                    OptionalTensor dlogits) {
  HWY_DYNAMIC_DISPATCH(losses_on_target)(stream, tokens, logits, more, dlogits);
}

void cross_entropy(Stream& stream, const moe_token_losses& tokens, Tensor logits, OptionalTensor dlogits) {
  const moe_tensor labels = checked_indices(stream, "targets", *tokens.targets, -1, logits.shape[1]);
  moe_token_losses checked = tokens;
  checked.targets = &labels;
  losses_of_rows(stream, checked, logits, nullptr, dlogits);
}

}  // namespace moe::cpu
#endif
