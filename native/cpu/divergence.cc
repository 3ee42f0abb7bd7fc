// The divergence of a student's predictions from a teacher's, at temperature T.
//
//   p = softmax(t[s] / T),   q = softmax(x[s] / T)
//   divergence[s] = sum_v p[v] (log p[v] - log q[v]),   0 if the target is -1
//   gradient[s, v] = weight / T (q[v] - p[v])
//
// t (the teacher's logits), x (the student's) [S, V] float32 or bfloat16. A class of p = 0 adds nothing, whatever its
// logits.
// Test: panamoe_test --gtest_filter='Distillation*'. Time: attention_bench --only distillation.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/divergence.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include <cmath>

#include "cpu/cross_entropy.h"
#include "cpu/parallel.h"
#include "cpu/simd/row_softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

inline float row_divergence(const RowSoftmax& teacher, const RowSoftmax& student, int64_t classes) {
  const FloatTag d;
  FloatVector total = hn::Zero(d);
  for_each_vector(d, 0, classes, [&](int64_t i, size_t n) {
    const FloatVector exponent = teacher.exponent(i, n), share = softmax_exp(exponent);
    const FloatVector term = hn::Mul(share, hn::Sub(exponent, student.exponent(i, n)));
    total = hn::Add(total, hn::IfThenElseZero(hn::Gt(share, hn::Zero(d)), term));
  });
  // A NaN shows in the sum even if it is not in the total.
  return hn::ReduceSum(d, total) / teacher.sum() + std::log(student.sum()) - std::log(teacher.sum());
}

inline void row_gradient(const RowSoftmax& teacher, const RowSoftmax& student, int64_t classes, float factor,
                         Floats gradient) {
  const FloatTag d;
  const FloatVector scale = hn::Set(d, factor);
  const FloatVector share_p = hn::Set(d, 1.0f / teacher.sum()), share_q = hn::Set(d, 1.0f / student.sum());
  for_each_vector(d, 0, classes, [&](int64_t i, size_t n) {
    const FloatVector p = hn::Mul(softmax_exp(teacher.exponent(i, n)), share_p);
    const FloatVector q = hn::Mul(softmax_exp(student.exponent(i, n)), share_q);
    gradient.store(d, hn::Mul(scale, hn::Sub(q, p)), i, n);
  });
}

void divergences_on_target(Stream& stream, const moe_teacher& teacher, Tensor targets, Tensor logits,
                           OptionalTensor gradient) {
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  const auto* target = static_cast<const int32_t*>(targets.data);
  auto* divergence = static_cast<float*>(teacher.divergences->data);
  parallel_blocks(stream, rows, std::max<int64_t>(1, 8192 / classes), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      divergence[row] = 0;
      if (target[row] < 0) continue;
      const RowSoftmax of_teacher(Floats(*teacher.hidden, row * classes), classes, teacher.temperature);
      const RowSoftmax of_student(Floats(logits, row * classes), classes, teacher.temperature);
      divergence[row] = row_divergence(of_teacher, of_student, classes);
      if (gradient == nullptr) continue;
      row_gradient(of_teacher, of_student, classes, teacher.weight / teacher.temperature,
                   Floats(*gradient, row * classes));
    }
  });
}

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moe::cpu {

HWY_EXPORT(divergences_on_target);

void divergences_of_rows(Stream& stream, const moe_teacher& teacher, Tensor targets, Tensor logits,
                         OptionalTensor gradient) {
  HWY_DYNAMIC_DISPATCH(divergences_on_target)(stream, teacher, targets, logits, gradient);
}

}  // namespace moe::cpu
#endif
