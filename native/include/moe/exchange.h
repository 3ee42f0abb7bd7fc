/* Exchange: moves rows between the layouts in which a layer's all-to-all sends and receives them (DeepSpeed-MoE,
 * section 5.3): by destination, by rank within a node, by node, by source. The host knows the counts of rows. */
#ifndef MOE_EXCHANGE_H
#define MOE_EXCHANGE_H

#include "moe/tensor.h"
#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOE_MAX_BLOCKS 128

/* Block i is rows[i] rows, from row from[i] of one tensor and row to[i] of another. */
typedef struct moe_blocks {
  uint32_t struct_size;
  int32_t count; /* 0 to MOE_MAX_BLOCKS */
  int64_t from[MOE_MAX_BLOCKS];
  int64_t to[MOE_MAX_BLOCKS];
  int64_t rows[MOE_MAX_BLOCKS];
} moe_blocks;

/* y[to[i] + r] = x[from[i] + r] for r below rows[i]. x [R, ...], y [R', ...] of one dtype and row shape; other rows of
 * y keep their values. Refused: rows outside x or y, and two blocks that share a row of y. Bound by bytes. */
MOE_API moe_status moe_block_copy(moe_stream stream, const moe_blocks* blocks, const moe_tensor* x, const moe_tensor* y,
                                  MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
