package panamoe.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Optional;
import panamoe.tensor.DType;

/** Counts NaN and infinite values among weights. */
public final class NonFinite {
  private long count;
  private int tensors;
  private String first;

  /** Notes {@code found} such values of a tensor. */
  void add(String name, long found) {
    if (found > 0) {
      count += found;
      tensors++;
      first = first == null ? name + " (" + found + " values)" : first;
    }
  }

  /** One sentence with the counts; empty if all values were finite. */
  Optional<String> sentence(Path checkpoint) {
    if (tensors == 0) {
      return Optional.empty();
    }
    return Optional.of(
        checkpoint
            + " holds "
            + count
            + " NaN or infinite values in "
            + tensors
            + (tensors == 1 ? " tensor: " : " tensors, the first: ")
            + first);
  }

  /**
   * The number of values of {@code data} that are not finite. Blocks are decoded if a scale is
   * suspicious.
   */
  public static long count(DType dtype, MemorySegment data) {
    return switch (dtype) {
      case FLOAT32 -> mayHold(data, 0x7f800000_7f800000L, 0x00800000_00800000L) ? floats(data) : 0;
      case BFLOAT16 ->
          mayHold(data, 0x7f80_7f80_7f80_7f80L, 0x0080_0080_0080_0080L) ? decoded(dtype, data) : 0;
      case FLOAT64 -> mayHold(data, 0x7ff00000_00000000L, 0x00100000_00000000L) ? doubles(data) : 0;
      default ->
          dtype.isBlocks() && dtype.blocks().mayHoldNonFinite(data) ? decoded(dtype, data) : 0;
    };
  }

  /**
   * Whether an exponent is all ones, by one addition for 8 bytes: adding one to it then carries
   * into the sign bit. Bytes after the last 8 are not checked, and count as suspicious.
   *
   * @param exponents the bits of each exponent
   * @param ones the lowest bit of each exponent
   */
  private static boolean mayHold(MemorySegment data, long exponents, long ones) {
    long words = data.byteSize() / Long.BYTES;
    long carries = 0;
    for (long i = 0; i < words; i++) {
      carries |= (data.get(ValueLayout.JAVA_LONG_UNALIGNED, i * Long.BYTES) & exponents) + ones;
    }
    long signs = exponents + ones;
    return (carries & signs) != 0 || words * Long.BYTES < data.byteSize();
  }

  private static long decoded(DType dtype, MemorySegment data) {
    try (Arena arena = Arena.ofConfined()) {
      long count = data.byteSize() / dtype.blockBytes() * dtype.blockElements();
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, count);
      StoredType.of(dtype).decode(data, floats);
      return floats(floats);
    }
  }

  private static long floats(MemorySegment data) {
    long found = 0;
    for (long i = 0; i < data.byteSize() / Float.BYTES; i++) {
      found += (data.getAtIndex(ValueLayout.JAVA_INT, i) & 0x7f800000) == 0x7f800000 ? 1 : 0;
    }
    return found;
  }

  private static long doubles(MemorySegment data) {
    long found = 0;
    for (long i = 0; i < data.byteSize() / Double.BYTES; i++) {
      found += Double.isFinite(data.getAtIndex(ValueLayout.JAVA_DOUBLE, i)) ? 0 : 1;
    }
    return found;
  }
}
