// y[n] += sum_s x[s, n]: the gradient of a bias. x [S, N] float32 or bfloat16, y [N] float32. A column is summed by one
// thread in row order, so the result does not depend on the number of threads.
// Test: panamoe_test --gtest_filter='GemmTest.ColumnSum*:Expert*'. Time: ./panamoe bench moe-layer-training.
#include "cpu/column_sum.h"

#include <algorithm>

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

constexpr int64_t kColumns = 1024;  // whose sums stay in L1
constexpr int64_t kRows = 8;        // read side by side: a row is read in address order

void column_sums_kernel(const moe_tensor& x, int64_t first, int64_t last, int64_t begin, int64_t end, float* y) {
  const FloatTag d;
  const int64_t width = x.shape[1];
  for (; begin < end; begin += kColumns) {
    const int64_t columns = std::min(kColumns, end - begin);
    const Floats rows(x, begin);
    float sums[kColumns];
    std::fill_n(sums, columns, 0.0f);
    for (int64_t row = first; row < last; row += kRows) {
      const int64_t next = std::min(row + kRows, last);
      for_each_vector(d, 0, columns, [&](int64_t n, size_t lanes) {
        FloatVector sum = load(d, sums + n, lanes);
        for (int64_t r = row; r < next; ++r) sum = hn::Add(sum, rows.load(d, r * width + n, lanes));
        store(d, sum, sums + n, lanes);
      });
    }
    for_each_vector(d, 0, columns, [&](int64_t n, size_t lanes) {
      float* to = y + begin + n;
      store(d, hn::Add(load(d, to, lanes), load(d, sums + n, lanes)), to, lanes);
    });
  }
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
