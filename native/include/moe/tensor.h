/* How tensors cross the ABI: a view that carries its size in bytes, so that every call checks the shape against the
 * memory before it touches a byte. */
#ifndef MOE_TENSOR_H
#define MOE_TENSOR_H

#include "moe/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum moe_dtype {
  MOE_FLOAT32 = 0,
  MOE_BFLOAT16 = 1,
  MOE_INT32 = 2,
  MOE_UINT8 = 3,
  MOE_FLOAT64 = 4, /* sums over many tokens, which ranks reduce */
  MOE_INT8 = 5,    /* keys and values of a cache; scales are a tensor of their own */
  /* Weights in blocks of elements that share scales (docs/quantization.md). Rows of whole blocks, row-major, byte for
   * byte like in a GGUF file (Q8_64, Q8_128: like Q8_0 with more codes). Only moe_gemm_pack reads this layout. */
  MOE_Q8_0 = 6,    /* blocks of 32, 34 bytes */
  MOE_Q4_0 = 7,    /* 32, 18 */
  MOE_Q5_0 = 8,    /* 32, 22 */
  MOE_Q4_K = 9,    /* 256, 144 */
  MOE_Q5_K = 10,   /* 256, 176 */
  MOE_Q6_K = 11,   /* 256, 210 */
  MOE_MXFP4 = 12,  /* 32, 17 */
  MOE_Q8_64 = 13,  /* 64, 66 */
  MOE_Q8_128 = 14, /* 128, 130 */
  MOE_Q4_1 = 15,   /* 32, 20 */
  MOE_Q5_1 = 16,   /* 32, 24 */
  MOE_Q2_K = 17,   /* 256, 84 */
  MOE_Q3_K = 18,   /* 256, 110 */
  MOE_IQ4_NL = 19, /* 32, 18 */
  MOE_IQ4_XS = 20, /* 256, 136 */
  MOE_FP8_128 = 21 /* 128, 132: a float32 scale, then e4m3 numbers. Rows are never rounded for it */
} moe_dtype;

typedef enum moe_layout {
  MOE_ROW_MAJOR = 0,    /* contiguous, last dimension fastest */
  MOE_PACKED = 1,       /* opaque GEMM operand made by moe_gemm_pack for one backend and CPU type */
  MOE_PACKED_EXACT = 2, /* MOE_PACKED whose other operand is never rounded to int8 (moe/gemm.h) */
  MOE_PACKED_EACH = 3   /* E experts' matrices, each packed on its own, in any dtypes (moe/expert.h) */
} moe_layout;

#define MOE_MAX_RANK 4

/* A view of memory that the caller owns. 64 bytes. The descriptor itself is only read during a call. `bytes` is the
 * memory available at `data`; a call refuses a shape that needs more. `data` is aligned to the element size and is
 * memory of the stream's device. The last dimension of a tensor in blocks is a multiple of the block. */
typedef struct moe_tensor {
  uint32_t struct_size; /* sizeof(moe_tensor) */
  int32_t dtype;        /* moe_dtype */
  void* data;
  int64_t bytes;
  int32_t rank;   /* 0 (scalar) to MOE_MAX_RANK */
  int32_t layout; /* moe_layout; `shape` of a packed operand is its logical shape */
  int64_t shape[MOE_MAX_RANK];
} moe_tensor;

/* The last four arguments of every call that takes tensors. The library ignores them; null is fine. Java keeps an arena
 * open during a call only if one of its segments is an argument; it does not see the pointers inside a moe_tensor or
 * another struct. So Java passes here the memory behind those pointers that another thread could free during the
 * call. */
#ifdef __cplusplus
#define MOE_HELD \
  const void *held0 = nullptr, const void *held1 = nullptr, const void *held2 = nullptr, const void *held3 = nullptr
#else
#define MOE_HELD const void *held0, const void *held1, const void *held2, const void *held3
#endif

#ifdef __cplusplus
}
#endif
#endif
