// The experts' grouped GEMM (MegaBlocks, arXiv 2211.15841: groups of any size, nothing padded to a capacity).
//
//   forward           y_e = activation(x_e weights[e]^T + bias[e] + addend_e)
//   backward input    dx_e = dy_e weights[e]
//   backward weights  dweights[e] = or += dy_e^T x_e,   dbias[e] += sum of dy_e's rows
//
// x_e is rows offsets[e] .. offsets[e + 1] - 1 of x [R, K]; weights, dweights [E, N, K]; bias, dbias [E, N]; y,
// dy, addend [R, N], y for a gated activation [R, N / 2]. Each expert's group is one product of a call of the GEMM
// (cpu/gemm).
// Test: panamoe_test --gtest_filter='Expert*'. Time: gemm_bench, ./panamoe bench grouped-gemm.
#include <utility>

#include "core/weights.h"
#include "cpu/column_sum.h"
#include "cpu/gemm/product.h"
#include "cpu/indices.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace moe::cpu {
namespace {

// Rows of x [R, K] from `from` on, as an operand.
Operand rows_of(Tensor x, int64_t from) { return Operand{x.data, x.dtype, false, x.shape[1], 1}.at(from, 0); }

// weights[e] of [E, N, K], with its N rows, or its K columns, as the outer dimension.
Operand expert_of(Tensor weights, int64_t e, bool rows_are_outer) {
  if (weights.layout == MOE_PACKED_EACH) {
    const moe_tensor& own = matrices_of(weights)[e];
    return {own.data, own.dtype, true, own.shape[1], 1, own.layout == MOE_PACKED_EXACT};
  }
  const int64_t rows = weights.shape[1], width = weights.shape[2];
  const Operand all{
      weights.data, weights.dtype, weights.layout != MOE_ROW_MAJOR, width, 1, weights.layout == MOE_PACKED_EXACT};
  if (all.packed) {
    Operand one = all;
    const int64_t bytes = gemm_packed_bytes(static_cast<moe_dtype>(weights.dtype), 2, &weights.shape[1]);
    one.data = static_cast<char*>(weights.data) + e * bytes;
    return one;
  }
  Operand one = all.at(e * rows, 0);
  if (!rows_are_outer) std::swap(one.outer_stride, one.k_stride);
  return one;
}

}  // namespace

void expert_forward(Stream& stream, Tensor x, Tensor offsets, Tensor weights, Tensor y, const moe_epilogue& epilogue) {
  const int32_t* start = checked_offsets(stream, offsets, x.shape[0]);
  const int64_t experts = weights.shape[0];
  auto* products = stream.arena().take<Product>(experts);
  for (int64_t e = 0; e < experts; ++e) {
    products[e] = {.rows = start[e + 1] - start[e],
                   .columns = weights.shape[1],
                   .inner = weights.shape[2],
                   .a = rows_of(x, start[e]),
                   .b = expert_of(weights, e, true),
                   .c_row = start[e],
                   .bias_row = e};
  }
  run_products(stream, products, experts,
               {.activation = *epilogue.activation,
                .bias = epilogue.bias,
                .c = &y,
                .preactivation = epilogue.preactivation,
                .addend = epilogue.addend});
}

void expert_backward_input(Stream& stream, Tensor dy, Tensor offsets, Tensor weights, Tensor dx) {
  const int32_t* start = checked_offsets(stream, offsets, dy.shape[0]);
  const int64_t experts = weights.shape[0];
  auto* products = stream.arena().take<Product>(experts);
  for (int64_t e = 0; e < experts; ++e) {
    products[e] = {.rows = start[e + 1] - start[e],
                   .columns = weights.shape[2],
                   .inner = weights.shape[1],
                   .a = rows_of(dy, start[e]),
                   .b = expert_of(weights, e, false),
                   .c_row = start[e]};
  }
  const auto run = weights.layout == MOE_ROW_MAJOR ? run_products : run_unpacked_products;
  run(stream, products, experts, {.c = &dx});
}

void expert_backward_weights(Stream& stream, bool accumulate, Tensor dy, Tensor x, Tensor offsets, Tensor dweights,
                             OptionalTensor dbias) {
  const int32_t* start = checked_offsets(stream, offsets, dy.shape[0]);
  const int64_t experts = dweights.shape[0], rows = dweights.shape[1], columns = dweights.shape[2];
  auto* products = stream.arena().take<Product>(experts);
  int64_t count = 0;
  for (int64_t e = 0; e < experts; ++e) {
    if (accumulate && start[e + 1] == start[e]) continue;
    Operand a = rows_of(dy, start[e]), b = rows_of(x, start[e]);
    std::swap(a.outer_stride, a.k_stride);
    std::swap(b.outer_stride, b.k_stride);
    products[count++] = {
        .rows = rows, .columns = columns, .inner = start[e + 1] - start[e], .a = a, .b = b, .c_row = e * rows};
  }
  // The optimizer reads gradients of weights much later, when caches have lost them: write past the caches.
  run_products(stream, products, count, {.accumulate = accumulate, .streams_c = !accumulate, .c = &dweights});
  if (dbias == nullptr) return;
  parallel_tasks(stream, experts, dy.shape[0] * rows / 4, [&](int64_t e, int) {
    add_column_sums(dy, start[e], start[e + 1], 0, rows, static_cast<float*>(dbias->data) + e * rows);
  });
}

}  // namespace moe::cpu
