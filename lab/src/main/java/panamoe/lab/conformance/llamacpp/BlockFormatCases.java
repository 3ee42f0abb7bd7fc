package panamoe.lab.conformance.llamacpp;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.lab.conformance.replay.Replay;
import panamoe.tensor.DType;

/**
 * ggml's quantized block formats: decoding gives ggml's bits, and quantization has no larger error
 * than ggml's.
 */
public final class BlockFormatCases {
  /** Limit of the mean over rows of our error / ggml's error. */
  private static final double MOST_ERROR = 1.01;

  private BlockFormatCases() {}

  /** Decodes blocks that ggml quantized, and random blocks. */
  public static void decoded(Replay replay) {
    StoredType type = StoredType.valueOf(replay.golden().setting("type").asString());
    decoded(replay, type, "blocks", "y");
    decoded(replay, type, "random_blocks", "random_y");
    if (replay.golden().has("x")) { // some cases have no original values
      type.blocks().ifPresent(dtype -> rounded(replay, type, dtype));
    }
  }

  private static void rounded(Replay replay, StoredType type, DType dtype) {
    float[] x = replay.golden().floats("x");
    float[] theirs = replay.golden().floats("y");
    int columns = replay.golden().size("x", -1);
    if (columns % type.elements() != 0 || theirs.length != x.length) {
      throw new CheckpointException(replay.golden().misfit());
    }
    float[] ours = new float[x.length];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment blocks = arena.allocate(dtype.bytes(x.length));
      MemorySegment floats = arena.allocateFrom(ValueLayout.JAVA_FLOAT, x);
      dtype.blocks().search(floats, null, columns, blocks);
      type.decode(blocks, floats);
      MemorySegment.copy(floats, ValueLayout.JAVA_FLOAT, 0, ours, 0, ours.length);
    }
    double ratios = 0;
    int rows = 0;
    for (int row = 0; row < x.length; row += columns, rows++) {
      double ggml = error(x, theirs, row, columns);
      double own = error(x, ours, row, columns);
      ratios += own == ggml ? 1 : own / ggml;
    }
    double mean = ratios / rows;
    replay.require(
        mean <= MOST_ERROR,
        "rounded rows have " + mean + " times ggml's error, expected at most " + MOST_ERROR);
  }

  /** Root of the mean square. */
  private static double error(float[] x, float[] y, int from, int count) {
    double sum = 0;
    for (int i = from; i < from + count; i++) {
      sum += Math.pow((double) x[i] - y[i], 2);
    }
    return Math.sqrt(sum / count);
  }

  private static void decoded(Replay replay, StoredType type, String blocks, String expected) {
    long[] bytes = replay.golden().longs(blocks);
    float[] floats = replay.golden().floats(expected);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment from = arena.allocate(bytes.length);
      for (int i = 0; i < bytes.length; i++) {
        from.set(ValueLayout.JAVA_BYTE, i, (byte) bytes[i]);
      }
      MemorySegment to = arena.allocate(ValueLayout.JAVA_FLOAT, floats.length);
      type.decode(from, to);
      replay.exact(expected, bits(floats), bits(to.toArray(ValueLayout.JAVA_FLOAT)));
    }
  }

  private static long[] bits(float[] floats) {
    long[] bits = new long[floats.length];
    Arrays.setAll(bits, i -> Float.floatToRawIntBits(floats[i]));
    return bits;
  }
}
