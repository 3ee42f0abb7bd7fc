// The products of a call: what a GEMM is asked for, whoever asks.
#pragma once

#include <cstdint>

#include "core/activation.h"
#include "core/stream.h"

namespace moe::cpu {

// A matrix of `lines` along which the product keeps its shape (rows of a, columns of b) and the inner dimension that
// is summed. Element (line, k) lies at line * line_stride + k * inner_stride; one of the strides is 1.
// A packed operand has no strides: its panels follow each other.
struct Operand {
  const void* data = nullptr;
  int32_t dtype = MOE_FLOAT32;
  bool packed = false;
  int64_t line_stride = 0;
  int64_t inner_stride = 0;

  // The same matrix from element (line, k) on.
  Operand at(int64_t line, int64_t k) const {
    Operand rest = *this;
    const int64_t elements = line * line_stride + k * inner_stride;
    rest.data = static_cast<const char*>(data) + elements * (dtype == MOE_BFLOAT16 ? 2 : 4);
    return rest;
  }
};

// One product of a call: rows c_row .. c_row + rows - 1 of c = activation(a b^T + bias[bias_row]), or c += a b^T.
struct Product {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t inner = 0;
  Operand a;  // [rows, inner]
  Operand b;  // [columns, inner]
  int64_t c_row = 0;
  int64_t bias_row = 0;
};

// What the products of a call have in common.
struct Epilogue {
  moe_activation_config activation = kIdentity;
  bool accumulate = false;
  bool leaves_caches = false;                 // c is written past them
  const moe_tensor* bias = nullptr;           // [.., columns], or none
  const moe_tensor* c = nullptr;              // [.., columns], for SwiGLU [.., columns / 2]
  const moe_tensor* preactivation = nullptr;  // [.., columns], or none

  // Whether a row of c is made of two halves of columns.
  bool gated() const { return activation.kind == MOE_SWIGLU; }
};

// Computes the products of a call, in one pass over all threads.
void run_products(Stream& stream, const Product* products, int64_t count, const Epilogue& epilogue);

inline constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace moe::cpu
