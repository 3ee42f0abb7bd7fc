// The gate's backward: dlogits from the gradients of the combine weights, of the auxiliary loss and of the z loss.
//
//   weight_k = scale score_k / D,  D = max(offset + sum of the counted scores, epsilon); D is constant if epsilon wins
//   auxiliary loss: dL/dscore[s, e] = dauxiliary E chosen_e / (choices U^2), with chosen_e and the used tokens U, of
//   these tokens or of the whole batch, constant
//   dlogit = score log_slope(score) (dscore - mean),  mean = sum_e score_e dscore_e for a softmax score, else 0
//   z loss: dlogit += 2 dz logsumexp softmax(logits) / U
//
// logits, scores, dlogits [S, E]; expert, choice, dweight [S, K]. No gradient passes through the choice.
// Test: panamoe_test --gtest_filter='GateBackward*'. Time: ./panamoe bench moe-layer-training.
#include <algorithm>
#include <cmath>

#include "core/gate_values.h"
#include "core/routes.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/gate/backward.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/gate/score-inl.h"
#include "cpu/simd/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 8192;  // logits that are worth waking a thread for

// dL/dscore of one token's chosen experts, from dL/dweight.
void weigh_backward(const moe_gate_config& config, const float* scores, const int32_t* expert, const int32_t* choice,
                    const float* dweight, float* dscore) {
  const int32_t choices = config.top_k;
  float denominator = 1, through_sum = 0;
  const int32_t* counted = config.normalization == MOE_CHOSEN ? choice : expert;
  if (config.normalization != MOE_RAW) {
    float sum = config.denominator_offset, product = 0;
    for (int32_t c = 0; c < choices; ++c) {
      if (counted[c] >= 0) sum += scores[counted[c]];
      if (expert[c] >= 0) product += dweight[c] * scores[expert[c]];
    }
    denominator = std::max(sum, config.normalization_epsilon);
    if (sum >= config.normalization_epsilon && sum > 0) through_sum = -product / (denominator * denominator);
  }
  for (int32_t c = 0; c < choices; ++c) {
    const float direct = expert[c] >= 0 && denominator > 0 ? dweight[c] / denominator : 0;
    dscore[c] = config.weight_scale * (direct + (counted[c] >= 0 ? through_sum : 0));
  }
}

// dL/dlogits of one token. `auxiliary` [E] is dL/dscore through the auxiliary loss, equal for all tokens; dz is
// dL/d(logsumexp^2).
void token_backward(const moe_gate_config& config, const float* logits, const float* scores, const int32_t* choice,
                    const float* dscore, const float* auxiliary, float dz, int64_t experts, float* dlogits) {
  const FloatTag d;
  FloatVector products = hn::Zero(d);
  for_each_vector(d, 0, experts, [&](int64_t e, size_t n) {
    products = hn::MulAdd(load(d, auxiliary + e, n), load(d, scores + e, n), products);
  });
  float dot = hn::ReduceSum(d, products);
  for (int32_t c = 0; c < config.top_k; ++c) {
    if (choice[c] >= 0) dot += dscore[c] * scores[choice[c]];
  }
  const FloatVector mean = hn::Set(d, is_softmax(config.score) ? dot : 0.0f);
  const auto slope = [&](FloatVector score) { return hn::Mul(score, log_slope(d, config.score, score)); };
  if (dz != 0) {
    const float largest = row_max(logits, experts);
    const float sum = exp_row(logits, largest, experts, dlogits);
    const FloatVector z = hn::Set(d, 2 * dz * (largest + std::log(sum)) / sum);
    for_each_vector(d, 0, experts, [&](int64_t e, size_t n) {
      const FloatVector by_score = hn::Sub(load(d, auxiliary + e, n), mean);
      const FloatVector by_z = hn::Mul(z, load(d, dlogits + e, n));
      store(d, hn::MulAdd(slope(load(d, scores + e, n)), by_score, by_z), dlogits + e, n);
    });
  } else {
    for_each_vector(d, 0, experts, [&](int64_t e, size_t n) {
      const FloatVector by_score = hn::Sub(load(d, auxiliary + e, n), mean);
      store(d, hn::Mul(slope(load(d, scores + e, n)), by_score), dlogits + e, n);
    });
  }
  for (int32_t c = 0; c < config.top_k; ++c) {
    const int32_t e = choice[c];
    if (e >= 0) dlogits[e] += dscore[c] * hn::GetLane(slope(hn::Set(d, scores[e])));
  }
}

void gate_backward_tokens(Stream& stream, const moe_gate_config& config, const moe_gate_inputs& in, Tensor scores,
                          Tensor expert, Tensor choice, const moe_gate_gradients& gradients, const float* auxiliary,
                          float dz) {
  const int64_t experts = in.logits->shape[1], choices = config.top_k;
  parallel_blocks(stream, in.logits->shape[0], kGrain / experts + 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      auto* gradient = static_cast<float*>(gradients.dlogits->data) + s * experts;
      if (in.used != nullptr && static_cast<const uint8_t*>(in.used->data)[s] == 0) {
        std::fill(gradient, gradient + experts, 0.0f);
        continue;
      }
      const auto* score = static_cast<const float*>(scores.data) + s * experts;
      const auto* chosen = static_cast<const int32_t*>(choice.data) + s * choices;
      float dscore[kMostChoices];
      weigh_backward(config, score, static_cast<const int32_t*>(expert.data) + s * choices, chosen,
                     static_cast<const float*>(gradients.dweight->data) + s * choices, dscore);
      token_backward(config, static_cast<const float*>(in.logits->data) + s * experts, score, chosen, dscore, auxiliary,
                     dz, experts, gradient);
    }
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {
HWY_EXPORT(gate_backward_tokens);

void gate_backward(Stream& stream, const moe_gate_config& config, const moe_gate_inputs& in, const moe_routes& routes,
                   const moe_gate_gradients& gradients) {
  const int64_t count = in.logits->shape[0], experts = in.logits->shape[1], choices = config.top_k;
  moe_tensor kept = *routes.expert, selected = *routes.choice;  // copies, since other threads may change the tensors
  kept.data = stream.arena().take<int32_t>(count * choices);
  selected.data = stream.arena().take<int32_t>(count * choices);
  check_choice_values(*routes.expert, *routes.choice, experts, static_cast<int32_t*>(kept.data),
                      static_cast<int32_t*>(selected.data));
  const auto* marks = in.used == nullptr ? nullptr : static_cast<const uint8_t*>(in.used->data);
  int64_t tokens = marks == nullptr ? count : count - std::count(marks, marks + count, 0);

  // d(E / choices sum_e mean(score_e) mean(chosen_e)) / d(score_e).
  auto* auxiliary = stream.arena().take<float>(experts);
  auto* chosen = stream.arena().take<int64_t>(experts);
  std::fill(chosen, chosen + experts, 0);
  for (int64_t s = 0; s < count; ++s) {
    for (int64_t c = 0; c < config.auxiliary_choices; ++c) {
      const int32_t e = static_cast<const int32_t*>(selected.data)[s * choices + c];
      if (e >= 0) ++chosen[e];
    }
  }
  if (gradients.batch_used != nullptr) {
    tokens = *static_cast<const int32_t*>(gradients.batch_used->data);
    std::copy_n(static_cast<const int32_t*>(gradients.batch_chosen->data), experts, chosen);
  }
  const double total = static_cast<double>(std::max<int64_t>(tokens, 1));
  const double scale = gradients.dauxiliary * static_cast<double>(experts);
  for (int64_t e = 0; e < experts; ++e) {
    auxiliary[e] = static_cast<float>(scale * chosen[e] / (config.auxiliary_choices * total * total));
  }
  HWY_DYNAMIC_DISPATCH(gate_backward_tokens)
  (stream, config, in, *routes.scores, kept, selected, gradients, auxiliary, static_cast<float>(gradients.dz / total));
}

}  // namespace moe::cpu
#endif
