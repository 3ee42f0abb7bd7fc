/* Dense GEMM. Operands float32 or bfloat16 in any mix; products are summed in float32, over the inner
 * dimension in one fixed order whatever the number of rows and threads, so that a row's bits do not
 * depend on the rows beside it. */
#ifndef MOE_GEMM_H
#define MOE_GEMM_H

#include "moe/elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* c = activation(op(a) op(b) + bias), or c += op(a) op(b) when accumulate is 1 (then no bias, no activation).
 * op(a) [M, K]: a is [M, K], or [K, M] when transpose_a is 1. op(b) [K, N]: b is [K, N], or [N, K] when transpose_b
 * is 1 (the layout of a linear layer's weight). bias float32 [N] or null. preactivation [M, N] or null receives
 * op(a) op(b) + bias for the backward. c [M, N]; for SwiGLU [M, N / 2].
 * b may be packed (moe_gemm_pack); it then counts as [N, K] with transpose_b 1. All but bias float32 or bfloat16. Flags
 * other than 0 and 1, inner dimensions that differ and an odd N for SwiGLU are refused. */
MOE_API moe_status moe_gemm(moe_stream stream, int32_t transpose_a, int32_t transpose_b, int32_t activation,
                            int32_t accumulate, const moe_tensor* a, const moe_tensor* b, const moe_tensor* bias,
                            const moe_tensor* c, const moe_tensor* preactivation, MOE_HELD);
/* y[n] += sum_s x[s, n]: the gradient of a bias. x [S, N] float32 or bfloat16; y float32 [N]. Rows are summed in one
 * fixed order. */
MOE_API moe_status moe_column_sum(moe_stream stream, const moe_tensor* x, const moe_tensor* y, MOE_HELD);

/* Bytes of a packed operand for weights [N, K] or [E, N, K] of this dtype on this device. MOE_INVALID_ARGUMENT for
 * other ranks, dtypes that are not floating, and sizes that are negative or overflow. */
MOE_API moe_status moe_gemm_packed_bytes(moe_device device, int32_t dtype, int32_t rank, const int64_t* shape,
                                         int64_t* bytes);
/* Rearranges row-major weights [N, K] or [E, N, K] into the order in which the kernels read them, rounding to the
 * dtype of `packed`. Both float32 or bfloat16. packed: layout MOE_PACKED, the same logical shape, aligned to 4 bytes,
 * at least moe_gemm_packed_bytes of memory. */
MOE_API moe_status moe_gemm_pack(moe_stream stream, const moe_tensor* weights, const moe_tensor* packed, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
