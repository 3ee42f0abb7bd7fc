// Sums down the columns of a block of rows.
#if defined(MOE_CPU_COLUMN_SUM_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MOE_CPU_COLUMN_SUM_INL_H
#undef MOE_CPU_COLUMN_SUM_INL_H
#else
#define MOE_CPU_COLUMN_SUM_INL_H
#endif

#include "cpu/floating-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// y[n] += the sum of x[s, n] over rows first .. last - 1 in this order, for columns begin .. end - 1. x [.., N].
inline void add_column_sums(const moe_tensor& x, int64_t first, int64_t last, int64_t begin, int64_t end, float* y) {
  const FloatTag d;
  for_each_vector(d, begin, end, [&](int64_t n, size_t lanes) {
    FloatVector sum = hn::Zero(d);
    for (int64_t row = first; row < last; ++row) sum = hn::Add(sum, Floats(x, row * x.shape[1]).load(d, n, lanes));
    store(d, hn::Add(load(d, y + n, lanes), sum), y + n, lanes);
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
