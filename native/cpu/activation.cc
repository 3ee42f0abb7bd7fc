// Activations of each element, and SwiGLU (Shazeer 2020, "GLU variants improve transformer") with GPT-OSS's clamps.
//
//   forward   y = activation(x);       SwiGLU: y = silu(g) u with x = [g, u]; its parameters: moe/elementwise.h
//   backward  dx = dy activation'(x);  SwiGLU: dg = dy dy/dg,  du = dy dy/du
//
// x, dx [S, N], for a gated activation [S, 2N]; y, dy [S, N]; each float32 or bfloat16. The functions:
// simd/activation-inl.h.
// Test: panamoe_test --gtest_filter='Elementwise*'. Time: ./panamoe bench moe-layer-training.
#include "core/activation.h"
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

void activate_elements(Stream& stream, const moe_activation_config& config, Tensor x, Tensor y) {
  const auto [rows, width] = activation_extent(config, y);
  with_activation(config, [&](auto activation) {
    if constexpr (activation.kGated) {
      parallel_blocks(stream, rows, kGrain / (width + 1) + 1, [&](int64_t begin, int64_t end) {
        const FloatTag d;
        for (int64_t s = begin; s < end; ++s) {
          const Floats gate(x, 2 * s * width), up(x, (2 * s + 1) * width), out(y, s * width);
          for_each_vector(d, 0, width, [&](int64_t i, size_t n) {
            out.store(d, activation.value(d, gate.load(d, i, n), up.load(d, i, n)), i, n);
          });
        }
      });
    } else {
      const Floats in(x), out(y);
      parallel_blocks(stream, width, kGrain, [&](int64_t begin, int64_t end) {
        const FloatTag d;
        for_each_vector(d, begin, end,
                        [&](int64_t i, size_t n) { out.store(d, activation.value(d, in.load(d, i, n)), i, n); });
      });
    }
  });
}

void differentiate_elements(Stream& stream, const moe_activation_config& config, Tensor x, Tensor dy, Tensor dx) {
  const auto [rows, width] = activation_extent(config, dy);
  with_activation(config, [&](auto activation) {
    if constexpr (activation.kGated) {
      parallel_blocks(stream, rows, kGrain / (width + 1) + 1, [&](int64_t begin, int64_t end) {
        const FloatTag d;
        for (int64_t s = begin; s < end; ++s) {
          const Floats gate(x, 2 * s * width), up(x, (2 * s + 1) * width), upstream(dy, s * width);
          const Floats dgate(dx, 2 * s * width), dup(dx, (2 * s + 1) * width);
          for_each_vector(d, 0, width, [&](int64_t i, size_t n) {
            FloatVector dg, du;
            activation.gradient(d, gate.load(d, i, n), up.load(d, i, n), upstream.load(d, i, n), dg, du);
            dgate.store(d, dg, i, n);
            dup.store(d, du, i, n);
          });
        }
      });
    } else {
      const Floats in(x), upstream(dy), out(dx);
      parallel_blocks(stream, width, kGrain, [&](int64_t begin, int64_t end) {
        const FloatTag d;
        for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
          out.store(d, activation.gradient(d, in.load(d, i, n), upstream.load(d, i, n)), i, n);
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

void activation_forward(Stream& stream, const moe_activation_config& activation, Tensor x, Tensor y) {
  HWY_DYNAMIC_DISPATCH(activate_elements)(stream, activation, x, y);
}

void activation_backward(Stream& stream, const moe_activation_config& activation, Tensor x, Tensor dy, Tensor dx) {
  HWY_DYNAMIC_DISPATCH(differentiate_elements)(stream, activation, x, dy, dx);
}

}  // namespace moe::cpu
#endif
