#include "core/activation_extent.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/activation.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/simd/activation-inl.h"
#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 8192;  // elements that are worth waking a thread for

void activate_elements(Stream& stream, moe_activation activation, T x, T y) {
  const auto [rows, width] = activation_extent(activation, y);
  with_activation(activation, [&](auto chosen) {
    constexpr moe_activation kActivation = decltype(chosen)::value;
    if constexpr (kActivation == MOE_SWIGLU) {
      parallel_blocks(stream, rows, kGrain / (width + 1) + 1, [&](int64_t begin, int64_t end) {
        const FloatTag d;
        for (int64_t s = begin; s < end; ++s) {
          const Floats gate(x, 2 * s * width), up(x, (2 * s + 1) * width), out(y, s * width);
          for_each_vector(d, 0, width, [&](int64_t i, size_t n) {
            out.store(d, hn::Mul(activate<kActivation>(d, gate.load(d, i, n)), up.load(d, i, n)), i, n);
          });
        }
      });
    } else {
      const Floats in(x), out(y);
      parallel_blocks(stream, width, kGrain, [&](int64_t begin, int64_t end) {
        const FloatTag d;
        for_each_vector(d, begin, end,
                        [&](int64_t i, size_t n) { out.store(d, activate<kActivation>(d, in.load(d, i, n)), i, n); });
      });
    }
  });
}

void differentiate_elements(Stream& stream, moe_activation activation, T x, T dy, T dx) {
  const auto [rows, width] = activation_extent(activation, dy);
  with_activation(activation, [&](auto chosen) {
    constexpr moe_activation kActivation = decltype(chosen)::value;
    if constexpr (kActivation == MOE_SWIGLU) {
      parallel_blocks(stream, rows, kGrain / (width + 1) + 1, [&](int64_t begin, int64_t end) {
        const FloatTag d;
        for (int64_t s = begin; s < end; ++s) {
          const Floats gate(x, 2 * s * width), up(x, (2 * s + 1) * width), upstream(dy, s * width);
          const Floats dgate(dx, 2 * s * width), dup(dx, (2 * s + 1) * width);
          for_each_vector(d, 0, width, [&](int64_t i, size_t n) {
            const FloatVector g = gate.load(d, i, n), u = up.load(d, i, n), dv = upstream.load(d, i, n);
            dgate.store(d, hn::Mul(hn::Mul(dv, u), activation_derivative<kActivation>(d, g)), i, n);
            dup.store(d, hn::Mul(dv, activate<kActivation>(d, g)), i, n);
          });
        }
      });
    } else {
      const Floats in(x), upstream(dy), out(dx);
      parallel_blocks(stream, width, kGrain, [&](int64_t begin, int64_t end) {
        const FloatTag d;
        for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
          const FloatVector slope = activation_derivative<kActivation>(d, in.load(d, i, n));
          out.store(d, hn::Mul(upstream.load(d, i, n), slope), i, n);
        });
      });
    }
  });
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(activate_elements);
HWY_EXPORT(differentiate_elements);

void activation_forward(Stream& stream, moe_activation activation, T x, T y) {
  HWY_DYNAMIC_DISPATCH(activate_elements)(stream, activation, x, y);
}

void activation_backward(Stream& stream, moe_activation activation, T x, T dy, T dx) {
  HWY_DYNAMIC_DISPATCH(differentiate_elements)(stream, activation, x, dy, dx);
}

}  // namespace moe::cpu
#endif
