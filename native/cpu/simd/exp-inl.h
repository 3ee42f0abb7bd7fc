// exp for softmax, and the soft cap of its inputs. Part of each Highway target.
#if defined(MOE_CPU_EXP_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_EXP_INL_H
#undef MOE_CPU_EXP_INL_H
#else
#define MOE_CPU_EXP_INL_H
#endif

#include "hwy/contrib/math/math-inl.h"

#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

// e^x for x <= 88, within 2 units in the last place; exactly 1 at 0, exactly 0 below -87.3 and at -inf.
// x = k ln 2 + r with |r| <= ln 2 / 2; e^r is its Taylor series up to r^7 / 7!, whose next term is below 6e-9.
HWY_INLINE FloatVector softmax_exp(FloatVector x) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const FloatVector k = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  FloatVector r = hn::NegMulAdd(k, hn::Set(d, 0.693145752f), x);  // ln 2 in two parts (Cody and Waite 1980): k times
  r = hn::NegMulAdd(k, hn::Set(d, 1.42860677e-6f), r);            // the first one is exact
  FloatVector series = hn::Set(d, 1.0f / 5040);
  series = hn::MulAdd(series, r, hn::Set(d, 1.0f / 720));
  series = hn::MulAdd(series, r, hn::Set(d, 1.0f / 120));
  series = hn::MulAdd(series, r, hn::Set(d, 1.0f / 24));
  series = hn::MulAdd(series, r, hn::Set(d, 1.0f / 6));
  series = hn::MulAdd(series, r, hn::Set(d, 0.5f));
  series = hn::MulAdd(series, r, hn::Set(d, 1.0f));
  series = hn::MulAdd(series, r, hn::Set(d, 1.0f));
  const auto power = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, k), hn::Set(di, 127))));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.3f)), hn::Mul(series, power));
}

// y = cap tanh(x / cap) (Gemma 2). NaN stays NaN.
HWY_INLINE FloatVector softly_capped(FloatVector x, FloatVector cap) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Mul(cap, hn::Tanh(FloatTag(), hn::Div(x, cap))));
}

// dy/dx of a soft cap, from y.
HWY_INLINE FloatVector soft_cap_slope(FloatVector y, FloatVector cap) {
  const FloatVector share = hn::Div(y, cap);
  return hn::NegMulAdd(share, share, hn::Set(FloatTag(), 1.0f));
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
