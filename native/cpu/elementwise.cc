// fill: y = value;  cast: y = x;  copy: bytes;  add: y = alpha a + beta b;  clamp;  soft cap: y = cap tanh(x / cap);
// exp: y = exp(min(x, bound)).
// Tensors of equal size in any shape, each float32 or bfloat16; arithmetic in float32, rounded to nearest even. Bound
// by bytes.
// Test: panamoe_test --gtest_filter='Elementwise*'. Time: ./panamoe bench train-step.
#include <cstring>

#include "core/check.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "hwy/contrib/math/math-inl.h"

#include "cpu/simd/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 16384;  // elements that are worth waking a thread for

void fill_elements(Stream& stream, float value, Tensor y) {
  const Floats out(y);
  parallel_blocks(stream, element_count(y), kGrain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    const FloatVector v = hn::Set(d, value);
    for_each_vector(d, begin, end, [&](int64_t i, size_t n) { out.store(d, v, i, n); });
  });
}

void cast_elements(Stream& stream, Tensor x, Tensor y) {
  const Floats in(x), out(y);
  parallel_blocks(stream, element_count(y), kGrain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    for_each_vector(d, begin, end, [&](int64_t i, size_t n) { out.store(d, in.load(d, i, n), i, n); });
  });
}

void add_elements(Stream& stream, float alpha, Tensor a, float beta, Tensor b, Tensor y) {
  const Floats first(a), second(b), out(y);
  parallel_blocks(stream, element_count(y), kGrain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    const FloatVector va = hn::Set(d, alpha), vb = hn::Set(d, beta);
    for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
      out.store(d, hn::MulAdd(vb, second.load(d, i, n), hn::Mul(va, first.load(d, i, n))), i, n);
    });
  });
}

// Comparisons are written so that NaN stays NaN.
void clamp_elements(Stream& stream, float bound, Tensor x, Tensor y) {
  const Floats in(x), out(y);
  parallel_blocks(stream, element_count(y), kGrain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    const FloatVector most = hn::Set(d, bound);
    for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
      const FloatVector value = in.load(d, i, n);
      out.store(d, hn::IfThenElse(hn::Gt(hn::Abs(value), most), hn::CopySign(most, value), value), i, n);
    });
  });
}

void clamp_gradients(Stream& stream, float bound, Tensor x, Tensor dy, Tensor dx) {
  const Floats in(x), upstream(dy), out(dx);
  parallel_blocks(stream, element_count(dx), kGrain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    const FloatVector most = hn::Set(d, bound);
    for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
      const auto inside = hn::Le(hn::Abs(in.load(d, i, n)), most);
      out.store(d, hn::IfThenElseZero(inside, upstream.load(d, i, n)), i, n);
    });
  });
}

void cap_elements(Stream& stream, float cap, Tensor x, Tensor y) {
  const Floats in(x), out(y);
  parallel_blocks(stream, element_count(y), kGrain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    const FloatVector most = hn::Set(d, cap);
    for_each_vector(d, begin, end,
                    [&](int64_t i, size_t n) { out.store(d, softly_capped(in.load(d, i, n), most), i, n); });
  });
}

void exp_elements(Stream& stream, float bound, Tensor x, Tensor y) {
  const Floats in(x), out(y);
  parallel_blocks(stream, element_count(y), kGrain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    const FloatVector most = hn::Set(d, bound);
    for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
      const FloatVector value = in.load(d, i, n);
      const FloatVector exponential = hn::Exp(d, hn::Min(value, most));  // NaN gives an arbitrary number
      out.store(d, hn::IfThenElse(hn::IsNaN(value), value, exponential), i, n);
    });
  });
}

void exp_gradients(Stream& stream, float bound, Tensor x, Tensor dy, Tensor dx) {
  const Floats in(x), upstream(dy), out(dx);
  parallel_blocks(stream, element_count(dx), kGrain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    const FloatVector most = hn::Set(d, bound);
    for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
      const FloatVector value = in.load(d, i, n);
      const FloatVector gradient = hn::Mul(upstream.load(d, i, n), hn::Exp(d, hn::Min(value, most)));
      out.store(d, hn::IfThenElseZero(hn::Le(value, most), gradient), i, n);
    });
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(fill_elements);
HWY_EXPORT(cast_elements);
HWY_EXPORT(add_elements);
HWY_EXPORT(clamp_elements);
HWY_EXPORT(clamp_gradients);
HWY_EXPORT(cap_elements);
HWY_EXPORT(exp_elements);
HWY_EXPORT(exp_gradients);

void fill(Stream& stream, float value, Tensor y) { HWY_DYNAMIC_DISPATCH(fill_elements)(stream, value, y); }

void cast(Stream& stream, Tensor x, Tensor y) { HWY_DYNAMIC_DISPATCH(cast_elements)(stream, x, y); }

void copy(Stream& stream, const void* x, int64_t bytes, void* y) {
  parallel_blocks(stream, bytes, 1 << 18, [&](int64_t begin, int64_t end) {
    std::memcpy(static_cast<char*>(y) + begin, static_cast<const char*>(x) + begin, static_cast<size_t>(end - begin));
  });
}

void add(Stream& stream, float alpha, Tensor a, float beta, Tensor b, Tensor y) {
  HWY_DYNAMIC_DISPATCH(add_elements)(stream, alpha, a, beta, b, y);
}

void clamp_forward(Stream& stream, float bound, Tensor x, Tensor y) {
  HWY_DYNAMIC_DISPATCH(clamp_elements)(stream, bound, x, y);
}

void clamp_backward(Stream& stream, float bound, Tensor x, Tensor dy, Tensor dx) {
  HWY_DYNAMIC_DISPATCH(clamp_gradients)(stream, bound, x, dy, dx);
}

void soft_cap(Stream& stream, float cap, Tensor x, Tensor y) { HWY_DYNAMIC_DISPATCH(cap_elements)(stream, cap, x, y); }

void exp_forward(Stream& stream, float bound, Tensor x, Tensor y) {
  HWY_DYNAMIC_DISPATCH(exp_elements)(stream, bound, x, y);
}

void exp_backward(Stream& stream, float bound, Tensor x, Tensor dy, Tensor dx) {
  HWY_DYNAMIC_DISPATCH(exp_gradients)(stream, bound, x, dy, dx);
}

}  // namespace moe::cpu
#endif
