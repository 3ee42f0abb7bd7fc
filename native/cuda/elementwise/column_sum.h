// Sums of columns, over all rows or per group of rows.
#pragma once

#include "cuda/device/launcher.h"

namespace moe::cuda {

// sums[e, n] += sum of x[s, n] over s = offsets[e] .. offsets[e + 1] - 1. x [S, N], sums [groups, N]; offsets
// [groups + 1], or null for one group of all rows. Refuses offsets that do not rise from 0 to at most S.
void add_column_sums(Launcher& launch, Tensor x, const int32_t* offsets, int64_t groups, float* sums);

}  // namespace moe::cuda
