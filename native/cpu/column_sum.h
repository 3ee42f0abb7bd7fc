// Sums of columns over a range of rows.
#pragma once

#include <cstdint>

#include "moe/elementwise.h"

namespace moe::cpu {

// y[n] += sum of x[s, n] over s = first .. last - 1 in this order, for n = begin .. end - 1. x [S, N], y [N].
void add_column_sums(const moe_tensor& x, int64_t first, int64_t last, int64_t begin, int64_t end, float* y);

}  // namespace moe::cpu
