package panamoe.data;

import java.lang.foreign.MemorySegment;

/** A sequence of tokens outside the Java heap. Thread-safe once it is complete. */
public interface Tokens {
  long size();

  int get(long index);

  /** Copies {@code count} tokens from index {@code from} to index {@code at} of int32 memory. */
  void copyTo(long from, MemorySegment destination, long at, long count);
}
