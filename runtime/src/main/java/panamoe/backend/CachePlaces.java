package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * A key/value cache, one slot a running sequence, and the place in it of each of S rows.
 *
 * @param keys [slots, capacity, G, D]
 * @param values [slots, capacity, G, D]
 * @param slot INT32 [S]
 * @param position INT32 [S]
 */
public record CachePlaces(Tensor keys, Tensor values, Tensor slot, Tensor position) {}
