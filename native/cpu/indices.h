// Values of int32 tensors that kernels use as indices.
#pragma once

#include "core/check.h"
#include "core/stream.h"

namespace moe::cpu {

// Refuses values outside [low, high) and returns a copy of the tensor in scratch memory: another thread may change the
// tensor itself while kernels run.
inline moe_tensor checked_indices(Stream& stream, const char* name, const moe_tensor& values, int64_t low,
                                  int64_t high) {
  moe_tensor copy = values;
  auto* data = stream.arena().take<int32_t>(element_count(values));
  check_range_values(name, values, low, high, data);
  copy.data = data;
  return copy;
}

// Refuses offsets that do not rise from 0 to at most `rows`, and returns a copy in scratch memory.
inline const int32_t* checked_offsets(Stream& stream, const moe_tensor& offsets, int64_t rows) {
  auto* copy = stream.arena().take<int32_t>(element_count(offsets));
  check_offset_values(offsets, rows, copy);
  return copy;
}

}  // namespace moe::cpu
