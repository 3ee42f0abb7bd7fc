package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * A key/value cache, one slot a running sequence, and the place in it of each of T rows.
 *
 * @param keys [slots, capacity, G, D]
 * @param values [slots, capacity, G, D]
 * @param slot INT32 [T]
 * @param position INT32 [T]
 */
public record CachePlaces(Tensor keys, Tensor values, Tensor slot, Tensor position) {}
