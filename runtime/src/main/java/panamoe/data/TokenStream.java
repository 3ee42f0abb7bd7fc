package panamoe.data;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A growable sequence of tokens outside the heap, freed by the garbage collector. */
public final class TokenStream implements Tokens {
  private MemorySegment tokens = allocate(1 << 16);
  private long size;

  public void append(int... more) {
    long capacity = tokens.byteSize() / Integer.BYTES;
    if (size + more.length > capacity) {
      MemorySegment larger = allocate(Math.max(2 * capacity, size + more.length));
      MemorySegment.copy(tokens, 0, larger, 0, size * Integer.BYTES);
      tokens = larger;
    }
    MemorySegment.copy(more, 0, tokens, ValueLayout.JAVA_INT, size * Integer.BYTES, more.length);
    size += more.length;
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public int get(long index) {
    return tokens.getAtIndex(ValueLayout.JAVA_INT, index);
  }

  @Override
  public void copyTo(long from, MemorySegment destination, long at, long count) {
    MemorySegment.copy(
        tokens, from * Integer.BYTES, destination, at * Integer.BYTES, count * Integer.BYTES);
  }

  private static MemorySegment allocate(long count) {
    return Arena.ofAuto().allocate(ValueLayout.JAVA_INT, count);
  }
}
