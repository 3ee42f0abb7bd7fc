/* Exchange: rows between the arrangements that the all-to-all of a layer sends and receives them in (section 5.3):
 * by destination, by place in a node, by node, by source. The counts of rows are known on the host. */
#ifndef MOE_EXCHANGE_H
#define MOE_EXCHANGE_H

#include "moe/tensor.h"
#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOE_MAX_BLOCKS 128

/* Blocks of rows: block i is rows[i] rows from row from[i] of one tensor on, and from row to[i] of another on. */
typedef struct moe_blocks {
  uint32_t struct_size;
  int32_t count; /* 0 to MOE_MAX_BLOCKS */
  int64_t from[MOE_MAX_BLOCKS];
  int64_t to[MOE_MAX_BLOCKS];
  int64_t rows[MOE_MAX_BLOCKS];
} moe_blocks;

/* y[to[i] + r] = x[from[i] + r] for r below rows[i]. x [R, ...], y [R', ...] of one dtype and one shape of a row; other
 * rows of y are left as they are. Refused: rows outside x or y, and two blocks that share a row of y. Bound by bytes.
 */
MOE_API moe_status moe_block_copy(moe_stream stream, const moe_blocks* blocks, const moe_tensor* x, const moe_tensor* y,
                                  MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
