// Arguments of a grouped GEMM: C = activation(A B + bias + addend), or C += A B, for one or more independent products.
//
//   A [M, K], B [K, N], C [M, N]; float32 or bfloat16 in any mix, summed in float32 over k = 0, 1, 2, ...
//
// Blocking, packing and names follow BLIS:
//   K. Goto, R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", TOMS 34 (2008),
//   10.1145/1356052.1356053
//   F. Van Zee, R. van de Geijn, "BLIS", TOMS 41 (2015), 10.1145/2764454
// docs/kernels-cpu.md has the picture and the table of tilings.
//
// Tested by panamoe_test --gtest_filter='GemmTest.*:ExpertTest.*'; timed by gemm_bench, and in whole layers by
// panamoe bench expert|moe-layer.
#pragma once

#include <cstdint>

#include "core/activation.h"
#include "core/ceil_div.h"
#include "core/stream.h"

namespace moe::cpu {

// A [M, K] or B [K, N] in memory. "Outer" is the dimension that C keeps: rows of A, columns of B. Element (outer, k) is
// at outer * outer_stride + k * k_stride; one of the strides is 1. Packed B has panels and no strides.
struct Operand {
  const void* data = nullptr;
  int32_t dtype = MOE_FLOAT32;
  bool packed = false;
  int64_t outer_stride = 0;
  int64_t k_stride = 0;
  bool exact = false;  // decode blocks of B to float32 rather than round A to int8

  // The submatrix from element (outer, k) on.
  Operand at(int64_t outer, int64_t k) const {
    Operand rest = *this;
    const int64_t elements = outer * outer_stride + k * k_stride;
    rest.data = static_cast<const char*>(data) + elements * (dtype == MOE_BFLOAT16 ? 2 : 4);
    return rest;
  }
};

// One product of a group. Its rows of C begin at c_row; its bias is row bias_row of the group's bias.
struct Product {
  int64_t rows = 0;     // M
  int64_t columns = 0;  // N
  int64_t inner = 0;    // K
  Operand a;
  Operand b;
  int64_t c_row = 0;
  int64_t bias_row = 0;
};

// What the products of a group share.
struct Epilogue {
  moe_activation_config activation = kIdentity;
  bool accumulate = false;                    // C += A B; else C is overwritten
  bool streams_c = false;                     // C is not read soon: written past the caches
  const moe_tensor* bias = nullptr;           // float32 [.., N], or null
  const moe_tensor* c = nullptr;              // [.., N], for a gated activation [.., N / 2]; or part of wider rows
  const moe_tensor* preactivation = nullptr;  // A B + bias + addend [.., N], or null
  const moe_tensor* addend = nullptr;         // float32 or bfloat16 [.., N], or null

  // Whether a row of C comes from two halves of columns: gate and up.
  bool gated() const { return is_gated(activation.kind); }
  int64_t c_stride() const { return c->shape[c->rank - 1]; }
};

// Computes all products of a group with the stream's threads.
void run_products(Stream& stream, const Product* products, int64_t count, const Epilogue& epilogue);
// The same for packed B that are weights [K, N], not their transposes: they are unpacked first, a range of columns at a
// time. All products have one K and N; the epilogue at most accumulates.
void run_unpacked_products(Stream& stream, const Product* products, int64_t count, const Epilogue& epilogue);

}  // namespace moe::cpu
