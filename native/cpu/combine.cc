#include <cmath>

#include "core/check.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/routes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/combine.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 16384;  // elements that are worth waking a thread for

// (c0, c1) = softmax(coefficient[s]): the shares of the experts and of the residual MLP.
struct Shares {
  float experts = 1, mlp = 0;

  Shares(OptionalTensor coefficient, int64_t s) {
    if (coefficient == nullptr) return;
    const float* raw = static_cast<const float*>(coefficient->data) + 2 * s;
    const float largest = std::max(raw[0], raw[1]);
    const float e0 = std::exp(raw[0] - largest), e1 = std::exp(raw[1] - largest);
    experts = e0 / (e0 + e1);
    mlp = e1 / (e0 + e1);
  }
};

void mix_rows(Stream& stream, const moe_combine_inputs& in, const Routes& routes, Tensor weight, Tensor y) {
  const int64_t width = y.shape[1], choices = routes.choices;
  const Floats expert_rows(*in.rows);
  parallel_blocks(stream, y.shape[0], kGrain / (width * choices + 1) + 1, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    for (int64_t s = begin; s < end; ++s) {
      const Routes::Kept kept = routes.kept(s);
      const float* weights = static_cast<const float*>(weight.data) + s * choices;
      const Shares share(in.coefficient, s);
      const FloatVector c0 = hn::Set(d, share.experts), c1 = hn::Set(d, share.mlp);
      const Floats out(y, s * width), residual(in.mlp == nullptr ? y : *in.mlp, s * width),
          skipped(in.skip == nullptr ? y : *in.skip, s * width);
      for_each_vector(d, 0, width, [&](int64_t i, size_t n) {
        FloatVector sum = hn::Zero(d);
        for (int64_t r = 0; r < kept.count; ++r) {
          const FloatVector row = expert_rows.load(d, kept.row[r] * width + i, n);
          sum = hn::MulAdd(hn::Set(d, weights[kept.choice[r]]), row, sum);
        }
        if (in.mlp != nullptr) sum = hn::MulAdd(c1, residual.load(d, i, n), hn::Mul(c0, sum));
        if (in.skip != nullptr) sum = hn::Add(sum, skipped.load(d, i, n));
        out.store(d, sum, i, n);
      });
    }
  });
}

// dy . row
HWY_INLINE float dot(const Floats& a, const Floats& b, int64_t width) {
  const FloatTag d;
  FloatVector sum = hn::Zero(d);
  for_each_vector(d, 0, width, [&](int64_t i, size_t n) { sum = hn::MulAdd(a.load(d, i, n), b.load(d, i, n), sum); });
  return hn::ReduceSum(d, sum);
}

HWY_INLINE void scale(const Floats& x, float factor, const Floats& y, int64_t width) {
  const FloatTag d;
  const FloatVector f = hn::Set(d, factor);
  for_each_vector(d, 0, width, [&](int64_t i, size_t n) { y.store(d, hn::Mul(f, x.load(d, i, n)), i, n); });
}

// With p_c = dy . row_c: drow_c = c0 w_c dy, dw_c = c0 p_c, dmlp = c1 dy, and dcoefficient = +- c0 c1 (dc0 - dc1) where
// dc0 = sum_c w_c p_c and dc1 = dy . mlp.
void mix_rows_backward(Stream& stream, Tensor dy, const moe_combine_inputs& in, const Routes& routes, Tensor weight,
                       const moe_combine_gradients& out) {
  const int64_t width = dy.shape[1], choices = routes.choices;
  parallel_blocks(stream, dy.shape[0], kGrain / (width * choices + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const float* weights = static_cast<const float*>(weight.data) + s * choices;
      float* dweights = static_cast<float*>(out.dweight->data) + s * choices;
      const Shares share(in.coefficient, s);
      const Floats upstream(dy, s * width);
      float dshare = 0;
      for (int64_t c = 0; c < choices; ++c) {
        const int64_t row = routes.row(s, c);
        dweights[c] = 0;
        if (row < 0) continue;
        const float product = dot(upstream, Floats(*in.rows, row * width), width);
        dweights[c] = share.experts * product;
        dshare += weights[c] * product;
        scale(upstream, share.experts * weights[c], Floats(*out.drows, row * width), width);
      }
      if (in.mlp == nullptr) continue;
      dshare -= dot(upstream, Floats(*in.mlp, s * width), width);
      scale(upstream, share.mlp, Floats(*out.dmlp, s * width), width);
      float* dcoefficients = static_cast<float*>(out.dcoefficient->data) + 2 * s;
      dcoefficients[0] = share.experts * share.mlp * dshare;
      dcoefficients[1] = -dcoefficients[0];
    }
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(mix_rows);
HWY_EXPORT(mix_rows_backward);

void combine_forward(Stream& stream, const moe_combine_inputs& in, const moe_routes& routes, Tensor y) {
  HWY_DYNAMIC_DISPATCH(mix_rows)(stream, in, Routes(stream, routes, *in.rows), *routes.weight, y);
}

void combine_backward(Stream& stream, Tensor dy, const moe_combine_inputs& in, const moe_routes& routes,
                      const moe_combine_gradients& out) {
  HWY_DYNAMIC_DISPATCH(mix_rows_backward)(stream, dy, in, Routes(stream, routes, *in.rows), *routes.weight, out);
}

}  // namespace moe::cpu
#endif
