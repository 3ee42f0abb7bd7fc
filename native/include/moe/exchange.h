/* Exchange: moves rows between the layouts in which a layer's all-to-all sends and receives them (DeepSpeed-MoE,
 * section 5.3): by destination, by rank within a node, by node, by source. The host knows the counts of rows, except
 * those of slots. */
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

/* An exchange of slots: every rank sends every other the same number of rows, of which it takes as many as it needs, so
 * that counts stay on the device. A rank has P messages of W words in slots int32 [P, W]. A message is R rows of W / R
 * words, in the order of the receiver's experts. Its last words are the receiver's counts, one for each expert; the
 * rows before them may be taken. E experts lie on the ranks in order: rank p has experts p E / P to (p + 1) E / P - 1,
 * and a message has ceil(E / P) counts.
 *
 * The sender: offsets int32 [E + 1] of its rows by expert become starts int32 [E + 1], by which moe_dispatch_forward
 * writes rows into the messages and moe_combine_forward reads them there. Also writes the counts. `rows` is R. Refused:
 * offsets that do not rise from 0, and more rows for a rank than its message has room for. */
MOE_API moe_status moe_slot_starts(moe_stream stream, int64_t rows, const moe_tensor* offsets, const moe_tensor* slots,
                                   const moe_tensor* starts, MOE_HELD);
/* The receiver: a table of routes for the rows of its messages. expert and position int32 [P R, 1], -1 for a row that
 * is not taken, and offsets int32 [L + 1] for the rows of its L experts. moe_dispatch_forward groups the rows by it,
 * and moe_dispatch_backward puts them back. `counts` is the number of counts of a message, at least L. Refused: counts
 * that are negative or exceed the room of their message. */
MOE_API moe_status moe_slot_routes(moe_stream stream, int64_t counts, const moe_tensor* slots, const moe_tensor* expert,
                                   const moe_tensor* position, const moe_tensor* offsets, MOE_HELD);

#ifdef __cplusplus
}
#endif
#endif
