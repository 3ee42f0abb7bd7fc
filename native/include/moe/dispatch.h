/* Dispatch: tokens -> rows grouped by expert, by the table of routes. Row of a route: offsets[expert] + position.
 * x [S, M]; expert, position int32 [S, K]; offsets int32 [E + 1]; rows [R, M] with R >= offsets[E]. Rows past
 * offsets[E] are left as they are. S * M copies a route, no arithmetic (section 5.4: S*M*c instead of S*E*M*c). */
#ifndef MOE_DISPATCH_H
#define MOE_DISPATCH_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

MOE_API moe_status moe_dispatch_forward(moe_stream stream, const moe_tensor* x, const moe_tensor* expert,
                                        const moe_tensor* position, const moe_tensor* offsets,
                                        const moe_tensor* rows);
/* dx[s] = sum over kept routes of drows[row], in choice order; 0 for a token without routes. */
MOE_API moe_status moe_dispatch_backward(moe_stream stream, const moe_tensor* drows, const moe_tensor* expert,
                                         const moe_tensor* position, const moe_tensor* offsets,
                                         const moe_tensor* dx);

#ifdef __cplusplus
}
#endif
#endif
