package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * A paged key/value cache with one slot per running sequence, and the place in it of each of S
 * rows. Position p of slot s lies in block {@code table[s, p / block]}, at {@code p % block}. Slots
 * may share blocks. Table entries that no row needs may have any value, such as -1.
 *
 * <p>Keys and values have the dtype of the rows, or are INT8 with a scale for each position and
 * key/value head: an element is scale * c with {@code scale = max |x| / 127} over the D elements x,
 * and c is {@code x / scale} rounded to nearest even.
 *
 * @param keys [blocks, block, G, D]
 * @param values [blocks, block, G, D]
 * @param keyScales FLOAT32 [blocks, block, G], null unless keys are INT8
 * @param valueScales FLOAT32 [blocks, block, G], null unless values are INT8
 * @param table INT32 [slots, n]: a slot has room for n * block positions
 * @param slot INT32 [S]
 * @param position INT32 [S]
 */
public record CachePlaces(
    Tensor keys,
    Tensor values,
    Tensor keyScales,
    Tensor valueScales,
    Tensor table,
    Tensor slot,
    Tensor position) {

  /** A cache in the rows' dtype. */
  public CachePlaces(Tensor keys, Tensor values, Tensor table, Tensor slot, Tensor position) {
    this(keys, values, null, null, table, slot, position);
  }

  /** These rows at other positions of their slots. */
  public CachePlaces at(Tensor other) {
    return new CachePlaces(keys, values, keyScales, valueScales, table, slot, other);
  }
}
