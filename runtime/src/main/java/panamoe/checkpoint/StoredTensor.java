package panamoe.checkpoint;

import java.util.Arrays;

/**
 * A tensor's shape and place in a file.
 *
 * @param shape sizes of its dimensions, empty for a scalar; not to be changed
 * @param begin offset of its first byte from the start of the file's data
 * @param end offset after its last byte
 */
public record StoredTensor(String name, StoredType type, long[] shape, long begin, long end) {

  /** Bytes of the elements. */
  public long bytes() {
    return end - begin;
  }

  /** Number of elements. */
  public long count() {
    return bytes() / type.bytes() * type.elements();
  }

  @Override
  public String toString() {
    return name + " " + type + Arrays.toString(shape);
  }
}
