// Sorts tokens by their ids.
#pragma once

#include "cuda/device/launcher.h"

namespace moe::cuda {

// Tokens 0 .. tokens - 1 sorted by id; equal ids keep token order. Ids outside [0, rows) raise the launcher's refusal
// and come last. The result is scratch memory of the launcher.
const int32_t* order_by_id(Launcher& launch, const int32_t* ids, int64_t tokens, int64_t rows);

}  // namespace moe::cuda
