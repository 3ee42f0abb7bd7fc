// GEMM in float64, and layouts of tensors, for the tests of dense and grouped GEMM.
#pragma once

#include <cstring>

#include "test/testing.h"

namespace moe::testing {

// op(a) op(b)
inline std::vector<double> product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
  const int64_t *sa = a.view().shape, *sb = b.view().shape;
  const int64_t m = sa[transpose_a], k = sa[!transpose_a], n = sb[!transpose_b];
  std::vector<double> c(static_cast<size_t>(m * n));
  // Plain pointers, because sanitizer builds are not optimized and their tests spend most time here.
  const std::vector<double> a_values = values_of(a), b_values = values_of(b);
  const int64_t a_step = transpose_a ? m : 1, b_step = transpose_b ? 1 : n;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const double* x = a_values.data() + (transpose_a ? i : i * k);
      const double* y = b_values.data() + (transpose_b ? j * k : j);
      double sum = 0;
      for (int64_t l = 0; l < k; ++l, x += a_step, y += b_step) sum += *x * *y;
      c[static_cast<size_t>(i * n + j)] = sum;
    }
  }
  return c;
}

// x[.., j] += bias[j]
inline void add_bias(std::vector<double>& x, const Tensor& bias) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += bias[static_cast<int64_t>(i) % bias.count()];
}

inline double activated(int activation, double x) {
  switch (activation) {
    case MOE_RELU: return x > 0 ? x : 0;
    case MOE_GELU: return x * std::erfc(-x / std::sqrt(2.0)) / 2;
    case MOE_GELU_TANH: return x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))) / 2;
    case MOE_SILU: return x / (1 + std::exp(-x));
    default: return x;
  }
}

inline double clamped_swiglu(const moe_activation_config& c, double g, double u) {
  const double gate = std::min<double>(g, c.limit), up = std::clamp<double>(u, -c.limit, c.limit);
  return (up + c.up_offset) * gate / (1 + std::exp(-c.alpha * gate));
}

// Activates rows of `columns` columns; a gated activation halves them.
inline std::vector<double> activated(const moe_activation_config& activation, const std::vector<double>& x,
                                     int64_t columns) {
  std::vector<double> y;
  const bool gated = is_gated(activation.kind);
  const int64_t width = gated ? columns / 2 : columns;
  for (size_t row = 0; row < x.size(); row += static_cast<size_t>(columns)) {
    for (size_t j = row; j < row + static_cast<size_t>(width); ++j) {
      const double up = gated ? x[j + static_cast<size_t>(width)] : 1;
      y.push_back(activation.kind == MOE_SWIGLU       ? clamped_swiglu(activation, x[j], up)
                  : activation.kind == MOE_GEGLU_TANH ? activated(MOE_GELU_TANH, x[j]) * up
                                                      : activated(activation.kind, x[j]));
    }
  }
  return y;
}
inline std::vector<double> activated(int activation, const std::vector<double>& x, int64_t columns) {
  return activated(activation_of(activation).value, x, columns);
}

// `count` entries of the first dimension.
inline Tensor slice(const Tensor& x, int64_t first, int64_t count) {
  const moe_tensor& view = x.view();
  std::vector<int64_t> shape(view.shape, view.shape + view.rank);
  const int64_t entry = shape[0] == 0 ? 0 : view.bytes / shape[0];
  shape[0] = count;
  Tensor part(static_cast<moe_dtype>(view.dtype), shape);
  std::memcpy(part.view().data, x.data<char>() + first * entry, static_cast<size_t>(count * entry));
  return part;
}

// One matrix of [E, N, K].
inline Tensor matrix(const Tensor& x, int64_t e) {
  Tensor part = slice(x, e, 1);
  moe_tensor& view = part.view();
  view.rank = 2;
  view.shape[0] = view.shape[1];
  view.shape[1] = view.shape[2];
  return part;
}

inline Tensor transposed(const Tensor& x) {
  const int64_t rows = x.view().shape[0], columns = x.view().shape[1];
  Tensor result(static_cast<moe_dtype>(x.view().dtype), {columns, rows});
  for (int64_t i = 0; i < rows * columns; ++i) result.set(i % columns * rows + i / columns, x[i]);
  return result;
}

inline Tensor converted(const Tensor& x, moe_dtype dtype) {
  Tensor y(dtype, std::vector<int64_t>(x.view().shape, x.view().shape + x.view().rank));
  for (int64_t i = 0; i < x.count(); ++i) y.set(i, x[i]);
  return y;
}

// Row-major weights as a packed operand.
inline Tensor packed(moe_device device, moe_stream stream, const Tensor& weights, moe_dtype dtype,
                     moe_layout layout = MOE_PACKED) {
  const moe_tensor& view = weights.view();
  int64_t bytes = 0;
  EXPECT_MOE_OK(moe_gemm_packed_bytes(device, dtype, view.rank, view.shape, &bytes));
  Tensor operand(MOE_UINT8, {bytes});
  moe_tensor& packed = operand.view();
  packed.dtype = dtype;
  packed.layout = layout;
  packed.rank = view.rank;
  std::memcpy(packed.shape, view.shape, sizeof(view.shape));
  EXPECT_MOE_OK(moe_gemm_pack(stream, weights, operand));
  return operand;
}

}  // namespace moe::testing
