// The gate's scores and their derivatives. A softmax score is exp(logit) divided by the sum over the experts; any other
// score depends on its own logit alone. Part of each Highway target.
#if defined(MOE_CPU_GATE_SCORE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_GATE_SCORE_INL_H
#undef MOE_CPU_GATE_SCORE_INL_H
#else
#define MOE_CPU_GATE_SCORE_INL_H
#endif

#include "cpu/simd/activation-inl.h"
#include "cpu/simd/floating-inl.h"
#include "moe/gate.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

inline bool is_softmax(int32_t score) { return score == MOE_SOFTMAX; }

// The score of a logit; not for softmax.
HWY_INLINE FloatVector score_of(FloatTag d, int32_t score, FloatVector logit) {
  switch (score) {
    case MOE_SIGMOID: return sigmoid(d, logit);
    default: return logit;  // not reached: GateContractTest tries every score
  }
}

// d ln(score) / d logit, given the score; for softmax, without the derivative of the sum.
HWY_INLINE FloatVector log_slope(FloatTag d, int32_t score, FloatVector value) {
  const FloatVector one = hn::Set(d, 1.0f);
  switch (score) {
    case MOE_SIGMOID: return hn::Sub(one, value);
    default: return one;
  }
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
