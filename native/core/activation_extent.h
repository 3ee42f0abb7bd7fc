// What an activation of each element walks over.
#pragma once

#include "core/check.h"

namespace moe {

struct ActivationExtent {
  int64_t rows, width;
};

// By the activation's result y. SwiGLU walks the rows, because a row of its argument holds two of y; the others see one
// long row.
inline ActivationExtent activation_extent(moe_activation activation, const moe_tensor& y) {
  if (activation == MOE_SWIGLU) return {y.shape[0], y.shape[1]};
  return {1, element_count(y)};
}

}  // namespace moe
