#include "cpu/column_sum.h"

#include "cpu/kernels.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/column_sum.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

void column_sums_kernel(const moe_tensor& x, int64_t first, int64_t last, int64_t begin, int64_t end, float* y) {
  const FloatTag d;
  for_each_vector(d, begin, end, [&](int64_t n, size_t lanes) {
    FloatVector sum = hn::Zero(d);
    for (int64_t row = first; row < last; ++row) sum = hn::Add(sum, Floats(x, row * x.shape[1]).load(d, n, lanes));
    store(d, hn::Add(load(d, y + n, lanes), sum), y + n, lanes);
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {
namespace {

HWY_EXPORT(column_sums_kernel);

constexpr int64_t kGrain = 16384;  // elements that are worth waking a thread for

}  // namespace

void add_column_sums(const moe_tensor& x, int64_t first, int64_t last, int64_t begin, int64_t end, float* y) {
  HWY_DYNAMIC_DISPATCH(column_sums_kernel)(x, first, last, begin, end, y);
}

void column_sum(Stream& stream, Tensor x, Tensor y) {
  parallel_blocks(stream, x.shape[1], kGrain / (x.shape[0] + 1) + 1, [&](int64_t begin, int64_t end) {
    add_column_sums(x, 0, x.shape[0], begin, end, static_cast<float*>(y.data));
  });
}

}  // namespace moe::cpu
#endif
