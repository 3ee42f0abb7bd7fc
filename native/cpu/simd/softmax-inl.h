// The two passes of a softmax over one row: its maximum, then exponentials and their sum. Part of each Highway target.
#if defined(MOE_CPU_SOFTMAX_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_SOFTMAX_INL_H
#undef MOE_CPU_SOFTMAX_INL_H
#else
#define MOE_CPU_SOFTMAX_INL_H
#endif

#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Loads n lanes from p and sets the others to -inf: never the maximum, and its exponential is 0.
HWY_INLINE FloatVector load_or_lowest(FloatTag d, const float* p, size_t n) {
  return n == hn::Lanes(d) ? hn::LoadU(d, p) : hn::LoadNOr(hn::Set(d, kMinusInfinity), d, p, n);
}

HWY_INLINE float row_max(const float* x, int64_t count) {
  const FloatTag d;
  FloatVector best = hn::Set(d, kMinusInfinity);
  for_each_vector(d, 0, count, [&](int64_t i, size_t n) { best = hn::Max(best, load_or_lowest(d, x + i, n)); });
  return hn::GetLane(hn::MaxOfLanes(d, best));
}

// Writes y[i] = exp(x[i] - shift) and returns their sum; shift is at least the maximum of x.
HWY_INLINE float exp_row(const float* x, float shift, int64_t count, float* y) {
  const FloatTag d;
  const FloatVector s = hn::Set(d, shift);
  FloatVector sum = hn::Zero(d);
  for_each_vector(d, 0, count, [&](int64_t i, size_t n) {
    const FloatVector e = hn::Exp(d, hn::Sub(load_or_lowest(d, x + i, n), s));
    sum = hn::Add(sum, e);
    store(d, e, y + i, n);
  });
  return hn::ReduceSum(d, sum);
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
