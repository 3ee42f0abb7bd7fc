// exp for softmax and activations, and the soft cap of scores. Part of each Highway target.
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

// e^x for x <= 88, within 1 unit in the last place; exactly 1 at 0, exactly 0 below -87.3 and at -inf.
// x = k ln 2 + r with |r| <= ln 2 / 2; e^r is 1 + r + r^2 times a minimax polynomial, with relative error 3.1e-9.
HWY_INLINE FloatVector softmax_exp(FloatVector x) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  // The sum with 1.5 2^23 + 127 is rounded to an integer: its last bits are k + 127, the exponent of 2^k.
  const FloatVector shift = hn::Set(d, 12583039.0f), shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), shift);
  const FloatVector k = hn::Sub(shifted, shift);
  FloatVector r = hn::NegMulAdd(k, hn::Set(d, 0.693145752f), x);  // ln 2 in two parts (Cody and Waite 1980): k times
  r = hn::NegMulAdd(k, hn::Set(d, 1.42860677e-6f), r);            // the first one is exact
  FloatVector series = hn::Set(d, 0.001381459879f);
  series = hn::MulAdd(series, r, hn::Set(d, 0.008368716575f));
  series = hn::MulAdd(series, r, hn::Set(d, 0.04166838899f));
  series = hn::MulAdd(series, r, hn::Set(d, 0.1666652113f));
  series = hn::MulAdd(series, r, hn::Set(d, 0.4999999404f));
  series = hn::MulAdd(series, r, hn::Set(d, 1.0f));
  series = hn::MulAdd(series, r, hn::Set(d, 1.0f));
  const auto power = hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, shifted)));
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

// 2^x for x <= 127, within 2 units in the last place; exactly 1 at 0, exactly 0 below -126 and at -inf.
// x = k + r, |r| <= 1/2; 2^r is 1 + r p(r) with a minimax polynomial p, relative error 9.2e-8.
HWY_INLINE FloatVector softmax_exp2(FloatVector x) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const FloatVector shift = hn::Set(d, 12583039.0f), shifted = hn::Add(x, shift);
  const FloatVector r = hn::Sub(x, hn::Sub(shifted, shift));
  FloatVector series = hn::MulAdd(r, hn::Set(d, 0.001326471334f), hn::Set(d, 0.009671523236f));
  series = hn::MulAdd(series, r, hn::Set(d, 0.05550733954f));
  series = hn::MulAdd(series, r, hn::Set(d, 0.2402224243f));
  series = hn::MulAdd(series, r, hn::Set(d, 0.6931470037f));
  series = hn::MulAdd(series, r, hn::Set(d, 1.0f));
  const auto power = hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, shifted)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -126.0f)), hn::Mul(series, power));
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
