// Rows of int8 codes with one scale each: scale = max |x| / 127, c = x / scale rounded to nearest even, x ~ scale c. A
// row's bits depend on that row alone. Part of each Highway target.
// Tested by panamoe_test --gtest_filter='AttentionInt8*'; timed by attention_bench --only decode.
#if defined(MOE_CPU_ATTENTION_INT8_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_ATTENTION_INT8_INL_H
#undef MOE_CPU_ATTENTION_INT8_INL_H
#else
#define MOE_CPU_ATTENTION_INT8_INL_H
#endif

#include <bit>

#include "cpu/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

using Int8Tag = hn::Rebind<int8_t, FloatTag>;
using Int32Tag = hn::RebindToSigned<FloatTag>;

// Writes codes c [count] and their scale for the elements of x from `start` on.
inline void quantise(Floats x, int64_t start, int64_t count, int8_t* c, float& scale) {
  const FloatTag d;
  const Int32Tag di;
  const Int8Tag dc;
  auto peak = hn::Zero(di);  // |x| orders like its bits; NaN is above all others
  for_each_vector(d, 0, count, [&](int64_t i, size_t n) {
    peak = hn::Max(peak, hn::BitCast(di, hn::Abs(x.load(d, start + i, n))));
  });
  scale = std::bit_cast<float>(hn::GetLane(hn::MaxOfLanes(di, peak))) / 127;
  const FloatVector divisor = hn::Set(d, scale == 0 ? 1.0f : scale), most = hn::Set(d, 127.0f);
  for_each_vector(d, 0, count, [&](int64_t i, size_t n) {
    // A subnormal scale is so coarse that the quotient may exceed 127.
    const FloatVector quotient = hn::Div(x.load(d, start + i, n), divisor);
    const auto rounded = hn::DemoteTo(dc, hn::NearestInt(hn::Clamp(quotient, hn::Neg(most), most)));
    n == hn::Lanes(d) ? hn::StoreU(rounded, dc, c + i) : hn::StoreN(rounded, dc, c + i, n);
  });
}

// x [whole_vectors(count)] = scale * c [count], padded with zeros.
inline void dequantise(const int8_t* c, float scale, int64_t count, float* x) {
  const FloatTag d;
  const Int32Tag di;
  const Int8Tag dc;
  const FloatVector factor = hn::Set(d, scale);
  for_each_vector(d, 0, count, [&](int64_t i, size_t n) {
    const auto read = n == hn::Lanes(d) ? hn::LoadU(dc, c + i) : hn::LoadN(dc, c + i, n);
    hn::StoreU(hn::Mul(hn::ConvertTo(d, hn::PromoteTo(di, read)), factor), d, x + i);
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
