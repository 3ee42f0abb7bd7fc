// AdamW (Loshchilov and Hutter 2019), in PyTorch's order.
#include <cmath>
#include <numeric>

#include "core/check.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/optimizer.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/simd/floating-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 16384;    // elements that are worth waking a thread for
constexpr int64_t kSumBlock = 4096;  // elements that are summed as one, whatever the number of threads

void step_elements(Stream& stream, const moe_adamw_config& config, Tensor parameter, Tensor gradient,
                   Tensor first_moment, Tensor second_moment, OptionalTensor copy) {
  const float learning_rate = config.learning_rate, beta1 = config.beta1, beta2 = config.beta2;
  auto* w = static_cast<float*>(parameter.data);
  const auto* g = static_cast<const float*>(gradient.data);
  auto* m = static_cast<float*>(first_moment.data);
  auto* v = static_cast<float*>(second_moment.data);
  auto* rounded = copy == nullptr ? nullptr : static_cast<hwy::bfloat16_t*>(copy->data);
  const double correction1 = 1 - std::pow(double{beta1}, static_cast<double>(config.step));
  const double correction2 = 1 - std::pow(double{beta2}, static_cast<double>(config.step));
  parallel_blocks(stream, element_count(parameter), kGrain, [&](int64_t begin, int64_t end) {
    const FloatTag d;
    const FloatVector decay = hn::Set(d, static_cast<float>(1 - double{learning_rate} * config.weight_decay));
    const FloatVector rate = hn::Set(d, static_cast<float>(learning_rate / correction1));
    const FloatVector root = hn::Set(d, static_cast<float>(1 / std::sqrt(correction2)));
    const FloatVector b1 = hn::Set(d, beta1), b2 = hn::Set(d, beta2), eps = hn::Set(d, config.epsilon);
    const FloatVector a1 = hn::Set(d, 1 - beta1), a2 = hn::Set(d, 1 - beta2),
                      unscale = hn::Set(d, config.gradient_scale);
    for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
      const FloatVector slope = hn::Mul(load(d, g + i, n), unscale);
      const FloatVector first = hn::MulAdd(b1, load(d, m + i, n), hn::Mul(a1, slope));
      const FloatVector second = hn::MulAdd(b2, load(d, v + i, n), hn::Mul(hn::Mul(a2, slope), slope));
      const FloatVector bound = hn::MulAdd(hn::Sqrt(second), root, eps);
      const FloatVector moved = hn::NegMulAdd(rate, hn::Div(first, bound), hn::Mul(load(d, w + i, n), decay));
      store(d, first, m + i, n);
      store(d, second, v + i, n);
      store(d, moved, w + i, n);
      if (rounded != nullptr) store(d, moved, rounded + i, n);
    });
  });
}

double square_sum_of_block(const Floats& x, int64_t begin, int64_t end) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  hn::Vec<decltype(d)> sum = hn::Zero(d);
  for_each_vector(d, begin, end, [&](int64_t i, size_t n) {
    const auto value = hn::PromoteTo(d, x.load(df, i, n));
    sum = hn::MulAdd(value, value, sum);
  });
  return hn::ReduceSum(d, sum);
}

void square_sum_of(Stream& stream, Tensor x, Tensor sum) {
  const int64_t count = element_count(x), blocks = (count + kSumBlock - 1) / kSumBlock;
  auto* sums = stream.arena().take<double>(blocks);
  const Floats values(x);
  parallel_blocks(stream, blocks, kGrain / kSumBlock, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      sums[block] = square_sum_of_block(values, block * kSumBlock, std::min(count, (block + 1) * kSumBlock));
    }
  });
  *static_cast<float*>(sum.data) = static_cast<float>(std::accumulate(sums, sums + blocks, 0.0));
}

}  // namespace
}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(step_elements);
HWY_EXPORT(square_sum_of);

void adamw_step(Stream& stream, const moe_adamw_config& config, Tensor parameter, Tensor gradient, Tensor first_moment,
                Tensor second_moment, OptionalTensor copy) {
  HWY_DYNAMIC_DISPATCH(step_elements)(stream, config, parameter, gradient, first_moment, second_moment, copy);
}

void square_sum(Stream& stream, Tensor x, Tensor sum) { HWY_DYNAMIC_DISPATCH(square_sum_of)(stream, x, sum); }

}  // namespace moe::cpu
#endif
