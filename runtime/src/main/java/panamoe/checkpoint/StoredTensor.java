package panamoe.checkpoint;

import java.util.Arrays;

/**
 * Where a tensor lies in a safetensors file.
 *
 * @param shape sizes of its dimensions, empty for a scalar; not to be changed
 * @param begin first byte of its elements, counted from the end of the header
 * @param end the byte after its last one
 */
public record StoredTensor(String name, StoredType type, long[] shape, long begin, long end) {

  /** Bytes of the elements. */
  public long bytes() {
    return end - begin;
  }

  /** Number of elements. */
  public long count() {
    return bytes() / type.bytes();
  }

  @Override
  public String toString() {
    return name + " " + type + Arrays.toString(shape);
  }
}
