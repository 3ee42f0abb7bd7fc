/* Dense GEMM. Operands float32 or bfloat16 in any mix; products are summed in float32, over the inner dimension in one
 * fixed order for every number of rows and threads, so that a row's bits do not depend on the other rows.
 *
 * Packed weights may be in blocks (MOE_Q8_0, ...). Their layout decides how a CPU multiplies by them:
 *   MOE_PACKED        rounds each row of the other operand to int8, with one scale per 32 elements; 32 products are
 *                     summed exactly, then scaled and added in float32
 *   MOE_PACKED_EXACT  decodes blocks to float32 in the cache; the bits are those of products with decoded weights. So
 *                     does MOE_PACKED for MOE_FP8_128
 * A GPU rounds no rows with either layout. */
#ifndef MOE_GEMM_H
#define MOE_GEMM_H

#include "moe/elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which product moe_gemm computes. Flags are 0 or 1. */
typedef struct moe_gemm_config {
  uint32_t struct_size;
  int32_t transpose_a; /* 1: a is [K, M] */
  int32_t transpose_b; /* 1: b is [N, K], the layout of a linear layer's weight */
  int32_t accumulate;  /* 1: c += op(a) op(b), without epilogue */
} moe_gemm_config;

/* Applied to the sums of a product before they are stored, and what is saved for the backward. */
typedef struct moe_epilogue {
  uint32_t struct_size;
  const moe_activation_config* activation; /* null: the identity */
  const moe_tensor* bias;                  /* float32, added before the activation; or null */
  const moe_tensor* preactivation;         /* receives the sums with bias and addend; or null */
  const moe_tensor* addend;                /* added after the bias, before the activation; or null */
} moe_epilogue;

/* c = activation(op(a) op(b) + bias + addend), or c += op(a) op(b).
 * op(a) [M, K]: a is [M, K], transposed [K, M]. op(b) [K, N]: b is [K, N], transposed [N, K]. c [M, N], for a gated
 * activation [M, N / 2]. epilogue: bias [N], addend and preactivation [M, N]; null for c = op(a) op(b).
 * b may be packed (moe_gemm_pack) in its own shape. If packed b is not transposed, c has the bits of a product by its
 * numbers in row-major memory: with either layout no row is rounded, so that it is the exact gradient of a layer's
 * input. All except bias float32 or bfloat16. Refused: inner dimensions that differ, an odd N for a gated activation,
 * an epilogue that does something together with accumulate or with packed b that is not transposed. */
MOE_API moe_status moe_gemm(moe_stream stream, const moe_gemm_config* config, const moe_tensor* a, const moe_tensor* b,
                            const moe_tensor* c, const moe_epilogue* epilogue, MOE_HELD);
/* y[n] += sum_s x[s, n]: the gradient of a bias. x [S, N] float32 or bfloat16; y float32 [N]. Rows are summed in one
 * fixed order. */
MOE_API moe_status moe_column_sum(moe_stream stream, const moe_tensor* x, const moe_tensor* y, MOE_HELD);

/* Bytes of a packed operand for weights [N, K] or [E, N, K] of this dtype on this device. MOE_INVALID_ARGUMENT for
 * other ranks, dtypes that are neither floating nor blocks, a K that is not a multiple of the block, and sizes that are
 * negative or overflow. */
MOE_API moe_status moe_gemm_packed_bytes(moe_device device, int32_t dtype, int32_t rank, const int64_t* shape,
                                         int64_t* bytes);
/* Packs row-major weights [N, K] or [E, N, K] in the order in which the kernels read them, rounding to the dtype of
 * `packed`. Both float32 or bfloat16, or both in one block format, whose values do not change. packed: layout
 * MOE_PACKED or MOE_PACKED_EXACT (the bytes are equal), the shape of `weights`, aligned to 4 bytes, at least
 * moe_gemm_packed_bytes of memory. Each block of 64 rows is contiguous, and each of the E matrices too: a call may pack
 * only the rows from a multiple of 64 on, into their part of the memory. */
MOE_API moe_status moe_gemm_pack(moe_stream stream, const moe_tensor* weights, const moe_tensor* packed, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
