// Sums down the columns of a block of rows.
#pragma once

#include <cstdint>

#include "moe/elementwise.h"

namespace moe::cpu {

// y[n] += the sum of x[s, n] over rows first .. last - 1 in this order, for columns begin .. end - 1. x [.., N].
void add_column_sums(const moe_tensor& x, int64_t first, int64_t last, int64_t begin, int64_t end, float* y);

}  // namespace moe::cpu
