#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/cross_entropy.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include <cmath>
#include <limits>
#include <optional>

#include "core/check.h"
#include "cpu/indices.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// The loss of one row of logits, and where wanted its gradient, which may take the place of the logits. With p the
// softmax and a the smoothing: loss = log sum exp x - (1 - a) x[target] - a mean x, and
// d loss / d x[v] = p[v] - a / V - (1 - a) [v = target].
inline float row_loss(Floats logits, int64_t classes, int64_t target, float smoothing, float dloss,
                      const std::optional<Floats>& dlogits) {
  const FloatTag d;
  const auto load_or_lowest = [&](int64_t i, size_t n) {
    const FloatVector x = logits.load(d, i, n);
    const FloatVector lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
    return n == hn::Lanes(d) ? x : hn::IfThenElse(hn::FirstN(d, n), x, lowest);
  };
  FloatVector peaks = hn::Set(d, std::numeric_limits<float>::lowest());
  for_each_vector(d, 0, classes, [&](int64_t i, size_t n) { peaks = hn::Max(peaks, load_or_lowest(i, n)); });
  const FloatVector peak = hn::MaxOfLanes(d, peaks);

  FloatVector sums = hn::Zero(d);
  for_each_vector(d, 0, classes,
                  [&](int64_t i, size_t n) { sums = hn::Add(sums, softmax_exp(hn::Sub(load_or_lowest(i, n), peak))); });
  const FloatVector sum = hn::SumOfLanes(d, sums);
  const FloatVector target_logit = hn::Sub(logits.load(d, target, 1), peak);
  float loss = std::log(hn::GetLane(sum)) - (1 - smoothing) * hn::GetLane(target_logit);
  if (smoothing > 0) {  // else a class of logit minus infinity would spoil the mean
    FloatVector total = hn::Zero(d);
    for_each_vector(d, 0, classes, [&](int64_t i, size_t n) {
      const FloatVector relative = hn::Sub(logits.load(d, i, n), peak);
      total = hn::Add(total, n == hn::Lanes(d) ? relative : hn::IfThenElseZero(hn::FirstN(d, n), relative));
    });
    loss -= smoothing / static_cast<float>(classes) * hn::ReduceSum(d, total);
  }

  if (dlogits) {
    const FloatVector scale = hn::Set(d, dloss), share = hn::Div(hn::Set(d, 1.0f), sum);
    const FloatVector even = hn::Set(d, smoothing / static_cast<float>(classes));
    const auto gradient = [&](FloatVector relative) { return hn::MulSub(softmax_exp(relative), share, even); };
    for_each_vector(d, 0, classes, [&](int64_t i, size_t n) {
      dlogits->store(d, hn::Mul(scale, gradient(hn::Sub(logits.load(d, i, n), peak))), i, n);
    });
    const FloatVector at_target = hn::Sub(gradient(target_logit), hn::Set(d, 1 - smoothing));
    dlogits->store(d, hn::Mul(scale, at_target), target, 1);
  }
  return loss;
}

void losses_of_rows(Stream& stream, const moe_token_losses& tokens, Tensor logits, OptionalTensor dlogits) {
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  const auto* target = static_cast<const int32_t*>(tokens.targets->data);
  auto* loss = static_cast<float*>(tokens.losses->data);
  parallel_blocks(stream, rows, std::max<int64_t>(1, 16384 / classes), [&](int64_t begin, int64_t end) {
    const FloatTag d;
    for (int64_t row = begin; row < end; ++row) {
      std::optional<Floats> gradient;
      if (dlogits != nullptr) gradient.emplace(*dlogits, row * classes);
      if (target[row] >= 0) {
        loss[row] = row_loss(Floats(logits, row * classes), classes, target[row], tokens.label_smoothing, tokens.dloss,
                             gradient);
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
namespace {

HWY_EXPORT(losses_of_rows);

// Rows a block: many, so that the three GEMMs run at their peak, while a block of logits stays within 32 MB. The number
// of classes alone decides, for the order in which dweights is summed must depend on nothing else.
int64_t block_rows(int64_t classes) { return std::clamp<int64_t>((int64_t{8} << 20) / classes / 64 * 64, 64, 1024); }

}  // namespace

void cross_entropy(Stream& stream, const moe_token_losses& tokens, Tensor logits, OptionalTensor dlogits) {
  const moe_tensor labels = checked_indices(stream, "targets", *tokens.targets, -1, logits.shape[1]);
  moe_token_losses checked = tokens;
  checked.targets = &labels;
  HWY_DYNAMIC_DISPATCH(losses_of_rows)(stream, checked, logits, dlogits);
}

void linear_cross_entropy(Stream& stream, const moe_token_losses& tokens, Tensor hidden, Tensor weights,
                          OptionalTensor dhidden, OptionalTensor dweights) {
  const int64_t rows = hidden.shape[0], classes = weights.shape[0], block = std::min(rows, block_rows(classes));
  const moe_tensor labels = checked_indices(stream, "targets", *tokens.targets, -1, classes);
  // Losses come from float32 logits. Their gradient takes the logits' place, or is rounded to bfloat16 where both of
  // its products are with bfloat16, as every other gradient is there.
  const bool half = dhidden != nullptr && hidden.dtype == MOE_BFLOAT16 && weights.dtype == MOE_BFLOAT16;
  float* memory = stream.arena().take<float>(block * classes);
  auto* half_memory = half ? stream.arena().take<uint16_t>(block * classes) : nullptr;
  const auto multiply = [&](bool transpose_a, bool transpose_b, bool accumulate, Tensor a, Tensor b, Tensor c) {
    gemm(stream, {sizeof(moe_gemm_config), transpose_a, transpose_b, accumulate}, a, b, c, kNoEpilogue);
  };
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    const moe_tensor logits{sizeof(moe_tensor), MOE_FLOAT32,     memory, count * classes * int64_t{sizeof(float)}, 2,
                            MOE_ROW_MAJOR,      {count, classes}};
    moe_tensor dlogits = logits;
    if (half) dlogits.dtype = MOE_BFLOAT16, dlogits.data = half_memory, dlogits.bytes /= 2;
    const moe_tensor hidden_block = rows_of(hidden, begin, count);
    const moe_tensor labels_block = rows_of(labels, begin, count), losses_block = rows_of(*tokens.losses, begin, count);
    moe_token_losses tokens_block = tokens;
    tokens_block.targets = &labels_block, tokens_block.losses = &losses_block;
    multiply(false, true, false, hidden_block, weights, logits);
    HWY_DYNAMIC_DISPATCH(losses_of_rows)(stream, tokens_block, logits, dhidden == nullptr ? nullptr : &dlogits);
    if (dhidden == nullptr) continue;
    const moe_tensor dhidden_block = rows_of(*dhidden, begin, count);
    multiply(false, false, false, dlogits, weights, dhidden_block);
    multiply(true, false, true, dlogits, hidden_block, *dweights);
  }
}

}  // namespace moe::cpu
#endif
