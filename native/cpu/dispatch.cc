// Dispatch: copies tokens to rows grouped by expert (DeepSpeed-MoE, arXiv 2201.05596, section 5.4: S M copies per
// choice instead of a product with a one-hot [S, E, C] tensor).
//
//   forward   rows[offsets[expert[s, k]] + position[s, k]] = x[s]
//   backward  dx[s] = sum_k drows[row(s, k)], in choice order, in float32
//
// x, dx [S, M]; expert, position [S, K], -1 where a route was dropped; offsets [E + 1]; rows, drows [R, M]. Bound by
// bytes.
// Test: panamoe_test --gtest_filter='Dispatch*'. Time: ./panamoe bench dispatch.
#include <cstring>

#include "core/check.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/routes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/dispatch.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 16384;  // elements that are worth waking a thread for

void gather_rows(Stream& stream, Tensor drows, const Routes& routes, Tensor dx) {
  const int64_t width = dx.shape[1];
  const Floats rows(drows);
  parallel_blocks(stream, dx.shape[0], kGrain / (width * routes.choices + 1) + 1, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    for (int64_t s = begin; s < end; ++s) {
      const Routes::Kept kept = routes.kept(s);
      const Floats out(dx, s * width);
      for_each_vector(d, 0, width, [&](int64_t i, size_t n) {
        FloatVector sum = hn::Zero(d);
        for (int64_t r = 0; r < kept.count; ++r) sum = hn::Add(sum, rows.load(d, kept.row[r] * width + i, n));
        out.store(d, sum, i, n);
      });
    }
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(gather_rows);

void dispatch_forward(Stream& stream, Tensor x, const moe_routes& table, Tensor rows) {
  const Routes routes(stream, table, rows);
  const int64_t bytes = x.shape[1] * dtype_bytes(x.dtype);
  if (bytes == 0) return;  // empty tensors may have null pointers
  const auto* source = static_cast<const char*>(x.data);
  auto* target = static_cast<char*>(rows.data);
  parallel_blocks(stream, x.shape[0], (1 << 16) / (bytes * routes.choices + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      for (int64_t c = 0; c < routes.choices; ++c) {
        const int64_t row = routes.row(s, c);
        if (row >= 0) std::memcpy(target + row * bytes, source + s * bytes, static_cast<size_t>(bytes));
      }
    }
  });
}

void dispatch_backward(Stream& stream, Tensor drows, const moe_routes& table, Tensor dx) {
  HWY_DYNAMIC_DISPATCH(gather_rows)(stream, drows, Routes(stream, table, drows), dx);
}

}  // namespace moe::cpu
#endif
