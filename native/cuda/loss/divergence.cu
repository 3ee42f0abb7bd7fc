// The divergence of a student's predictions from a teacher's. Formulas and shapes: cpu/divergence.cc. A block takes a
// row: one pass for the maxima and sums of both, one for the divergence and its gradient. Bound by those bytes, like
// cross_entropy.cu.
// Test: PANAMOE_TEST_BACKEND=simt panamoe_test --gtest_filter='Distillation*'.
#include "cuda/kernel/vector.h"
#include "cuda/loss/cross_entropy.h"
#include "cuda/loss/online_softmax.h"

namespace moe::cuda {
namespace {

constexpr unsigned kMostThreads = 512;
constexpr int kHeld = 4;  // vectors of a row per thread: rows with more get more threads, up to kMostThreads

// The divergence of a row and, if gradients is given, factor (q - p), which may alias the teacher's logits.
template <bool vectorized, typename T>
__global__ void __launch_bounds__(kMostThreads)
    divergences_kernel(const T* teachers, const float* students, int64_t classes, const int32_t* targets, float inverse,
                       float factor, float* divergences, float* gradients) {
  constexpr int count = kVectorOf<T>;
  MOE_SHARED(float, peaks, [2][kMostWarps]);
  MOE_SHARED(float, sums, [2][kMostWarps]);
  MOE_SHARED(float, totals, [kMostWarps]);
  const int64_t row = blockIdx.x, target = targets[row];
  if (target < 0 || target >= classes) {  // the cross-entropy refuses targets outside
    if (threadIdx.x == 0) divergences[row] = 0;
    return;
  }
  const T* t = teachers + row * classes;
  const float* x = students + row * classes;
  float* gradient = gradients == nullptr ? nullptr : gradients + row * classes;
  const int64_t first = int64_t{threadIdx.x} * count, stride = int64_t{blockDim.x} * count;
  OnlineSoftmax teacher, student;
  for (int64_t i = first; i < classes; i += stride) {
    float values[count];
    load_floats<vectorized>(t, i, classes, values, -INFINITY);
    teacher.add(values, inverse);
    load_floats<vectorized>(x, i, classes, values, -INFINITY);
    student.add(values, inverse);
  }
  teacher.combine_block(inverse, peaks[0], sums[0]);
  student.combine_block(inverse, peaks[1], sums[1]);

  const float share_p = 1.0f / teacher.sum, share_q = 1.0f / student.sum;
  float total = 0;
  for (int64_t i = first; i < classes; i += stride) {
    float p[count], q[count];
    load_floats<vectorized>(t, i, classes, p, -INFINITY);
    load_floats<vectorized>(x, i, classes, q, -INFINITY);
#pragma unroll
    for (int k = 0; k < count; ++k) {
      const float exponent_p = (p[k] - teacher.peak) * inverse, exponent_q = (q[k] - student.peak) * inverse;
      p[k] = expf(exponent_p);
      if (p[k] > 0) total += p[k] * (exponent_p - exponent_q);
      q[k] = factor * (expf(exponent_q) * share_q - p[k] * share_p);
    }
    if (gradient != nullptr) store_floats<vectorized>(gradient, i, classes, q);
  }
  total = block_sum(total, totals);  // a NaN shows in the teacher's sum even if it is not in the total
  if (threadIdx.x == 0) divergences[row] = total / teacher.sum + logf(student.sum) - logf(teacher.sum);
}

}  // namespace

void divergences_of_rows(Launcher& launch, const moe_teacher& teacher, Tensor targets, Tensor logits,
                         OptionalTensor gradient) {
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  visit_floating(*teacher.hidden, [&](auto from) {
    using T = decltype(from);
    const auto run = [&](auto vectorized) {
      const unsigned threads = row_threads(classes, kVectorOf<T>, kHeld, kMostThreads);
      launch(divergences_kernel<vectorized(), T>, static_cast<unsigned>(rows), threads, 0, data<T>(teacher.hidden),
             data<float>(logits), classes, data<int32_t>(targets), 1 / teacher.temperature,
             teacher.weight / teacher.temperature, data<float>(teacher.divergences), data<float>(gradient));
    };
    visit_vectorized<kVectorOf<T>>(classes, run, data<T>(teacher.hidden), data<float>(logits), data<float>(gradient));
  });
}

}  // namespace moe::cuda
