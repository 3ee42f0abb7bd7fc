// Parameters of an activation, and the shapes that follow from its kind.
#pragma once

#include <limits>

#include "core/error.h"
#include "moe/gemm.h"

namespace moe {

inline constexpr moe_activation_config kIdentity{sizeof(moe_activation_config), MOE_IDENTITY,
                                                 std::numeric_limits<float>::infinity(), 1, 0};

inline constexpr moe_epilogue kNoEpilogue{sizeof(moe_epilogue), &kIdentity, nullptr, nullptr, nullptr};

// Whether an output is made of a gate and an up value: two halves of columns.
constexpr bool is_gated(int32_t kind) { return kind == MOE_SWIGLU || kind == MOE_GEGLU_TANH; }

// True for plain parameters: SwiGLU is silu(g) * u.
constexpr bool is_plain(const moe_activation_config& activation) {
  return activation.limit == kIdentity.limit && activation.alpha == kIdentity.alpha &&
         activation.up_offset == kIdentity.up_offset;
}

// Columns of activation(x) if x has `columns`; a gated one halves them.
inline int64_t activated_columns(const moe_activation_config& activation, int64_t columns) {
  if (!is_gated(activation.kind)) return columns;
  if (columns % 2 != 0) invalid("a gated activation needs an even number of columns, got ", columns);
  return columns / 2;
}

// What an elementwise kernel loops over.
struct ActivationExtent {
  int64_t rows, width;
};

// From the result y. A gated one needs y's rows, because a row of x holds two rows of y; other kinds see one long row.
inline ActivationExtent activation_extent(const moe_activation_config& activation, const moe_tensor& y) {
  if (is_gated(activation.kind)) return {y.shape[0], y.shape[1]};
  int64_t count = 1;
  for (int32_t i = 0; i < y.rank; ++i) count *= y.shape[i];
  return {1, count};
}

}  // namespace moe
