// From the gate's queues to routes.
#pragma once

#include "cuda/gate/queues.h"
#include "cuda/launch.h"

namespace moe::cuda {

// Drops routes by rank where the gate asks for it, and gives each route its expert, position and weight. `best` [S] are
// the tokens' best scores, for MOE_DROP_BEST_SCORE alone.
void place_routes(Launch& launch, const GateTokens& tokens, const GateQueues& queues, int64_t capacity,
                  const float* best, const moe_routes& routes);

}  // namespace moe::cuda
