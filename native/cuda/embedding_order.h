// The order of tokens by their ids.
#pragma once

#include "cuda/launch.h"

namespace moe::cuda {

// Slots of Launch::scratch: order_by_id takes the first three.
enum EmbeddingSlot { kOrderSlot, kOtherOrderSlot, kCountsSlot, kPartialsSlot };

// The tokens 0 to `tokens`, those of lower ids first and those of equal ids in their own order. Ids outside [0, rows)
// raise the launch's refusal and come last. In scratch memory.
const int32_t* order_by_id(Launch& launch, const int32_t* ids, int64_t tokens, int64_t rows);

}  // namespace moe::cuda
