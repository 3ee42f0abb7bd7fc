// The softmax of a row of logits. Part of each Highway target.
#if defined(MOE_CPU_ROW_SOFTMAX_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_ROW_SOFTMAX_INL_H
#undef MOE_CPU_ROW_SOFTMAX_INL_H
#else
#define MOE_CPU_ROW_SOFTMAX_INL_H
#endif

#include <limits>

#include "cpu/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// The softmax of logits x at temperature T: exp(exponent) / sum with exponent = (x - max x) / T.
class RowSoftmax {
 public:
  RowSoftmax(Floats x, int64_t classes, float temperature) : x_(x), inverse_(1 / temperature) {
    const FloatTag d;
    FloatVector peaks = hn::Set(d, std::numeric_limits<float>::lowest());
    for_each_vector(d, 0, classes, [&](int64_t i, size_t n) { peaks = hn::Max(peaks, load_or_lowest(i, n)); });
    peak_ = hn::GetLane(hn::MaxOfLanes(d, peaks));
    FloatVector sums = hn::Zero(d);
    for_each_vector(d, 0, classes, [&](int64_t i, size_t n) { sums = hn::Add(sums, softmax_exp(exponent(i, n))); });
    sum_ = hn::GetLane(hn::SumOfLanes(d, sums));
  }

  // Exponents of n logits from the i-th on; -inf in the other lanes.
  HWY_INLINE FloatVector exponent(int64_t i, size_t n) const {
    const FloatTag d;
    return hn::Mul(hn::Sub(load_or_lowest(i, n), hn::Set(d, peak_)), hn::Set(d, inverse_));
  }
  float sum() const { return sum_; }
  float peak() const { return peak_; }

 private:
  HWY_INLINE FloatVector load_or_lowest(int64_t i, size_t n) const {
    const FloatTag d;
    const FloatVector x = x_.load(d, i, n);
    const FloatVector lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
    return n == hn::Lanes(d) ? x : hn::IfThenElse(hn::FirstN(d, n), x, lowest);
  }

  Floats x_;
  float inverse_, peak_, sum_;
};

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
