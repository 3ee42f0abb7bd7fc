// Sums down the columns of rows, whole or by groups.
#pragma once

#include "cuda/launch.h"

namespace moe::cuda {

// sums[e, n] += the sum over group e's rows of x[.., n]; x [rows, columns]. offsets [groups + 1], or null for one group
// of all rows. Bad offsets are refused. An empty group adds nothing.
void add_column_sums(Launch& launch, Tensor x, const int32_t* offsets, int64_t groups, float* sums);

}  // namespace moe::cuda
