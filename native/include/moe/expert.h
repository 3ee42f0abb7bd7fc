/* The experts' grouped GEMM: group e is rows offsets[e] .. offsets[e+1] - 1, multiplied by expert e's weights. Groups
 * are uneven and may be empty; nothing is padded to capacity. Rows past offsets[E] keep their values. x [R, K]; offsets
 * int32 [E + 1]; weights [E, N, K]; y [R, N], for a gated activation [R, N / 2]. All except offsets and biases float32
 * or bfloat16; float32 sums in a fixed order over K. Refused: offsets that do not rise from 0 to at most R. */
#ifndef MOE_EXPERT_H
#define MOE_EXPERT_H

#include "moe/gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = activation(x weights[e]^T + bias[e] + addend). epilogue: bias [E, N], addend and preactivation [R, N]; or null.
 * weights may be packed (moe_gemm_pack), with layout MOE_PACKED_EACH each on its own: their data, in the host's memory,
 * are then E moe_tensor [N, K] of any dtypes, and their own dtype is the first one's. An odd N cannot be gated. */
MOE_API moe_status moe_expert_forward(moe_stream stream, const moe_tensor* x, const moe_tensor* offsets,
                                      const moe_tensor* weights, const moe_tensor* y, const moe_epilogue* epilogue,
                                      MOE_HELD);
/* dx [R, K] = dy weights[e]; dy [R, N] is the gradient of the preactivation. weights may be packed as in the forward;
 * dx then has the bits of their numbers in row-major memory, and no row is rounded. */
MOE_API moe_status moe_expert_backward_input(moe_stream stream, const moe_tensor* dy, const moe_tensor* offsets,
                                             const moe_tensor* weights, const moe_tensor* dx, MOE_HELD);
/* dweights [E, N, K] = dy_e^T x_e, or += if accumulate is 1; dbias float32 [E, N] += column sums, or null to skip. An
 * empty group's sums are 0. accumulate is 0 or 1; 0 for a step's first gradient saves clearing and reading dweights. */
MOE_API moe_status moe_expert_backward_weights(moe_stream stream, int32_t accumulate, const moe_tensor* dy,
                                               const moe_tensor* x, const moe_tensor* offsets,
                                               const moe_tensor* dweights, const moe_tensor* dbias, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
