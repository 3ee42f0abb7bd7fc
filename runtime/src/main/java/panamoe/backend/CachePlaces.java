package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * A paged key/value cache, one slot a running sequence, and the place in it of each of S rows.
 * Position p of slot s lies in block {@code table[s, p / block]}, at {@code p % block}. Slots may
 * share blocks. Entries of blocks that no row reads or writes may be anything, such as -1.
 *
 * @param keys [blocks, block, G, D]
 * @param values [blocks, block, G, D]
 * @param table INT32 [slots, n]: a slot has room for n * block positions
 * @param slot INT32 [S]
 * @param position INT32 [S]
 */
public record CachePlaces(Tensor keys, Tensor values, Tensor table, Tensor slot, Tensor position) {}
