// Values of int32 tensors that kernels use as indices.
#pragma once

#include "core/check.h"
#include "core/stream.h"

namespace moe::cpu {

// Refuses values outside [low, high), and gives the tensor as it was then: a copy in the stream's shared slot. Another
// thread may change the tensor itself while kernels run.
inline moe_tensor checked_indices(Stream& stream, int slot, const char* name, const moe_tensor& values, int64_t low,
                                  int64_t high) {
  moe_tensor copy = values;
  auto* data = stream.shared<int32_t>(slot, element_count(values));
  check_range_values(name, values, low, high, data);
  copy.data = data;
  return copy;
}

// The same of offsets, which rise from 0 and stay within `rows`.
inline const int32_t* checked_offsets(Stream& stream, int slot, const moe_tensor& offsets, int64_t rows) {
  auto* copy = stream.shared<int32_t>(slot, element_count(offsets));
  check_offset_values(offsets, rows, copy);
  return copy;
}

}  // namespace moe::cpu
