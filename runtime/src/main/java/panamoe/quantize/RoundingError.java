package panamoe.quantize;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.model.ModelTensors.QuantizedMatrix;
import panamoe.tensor.DType;

/**
 * The squared error of a matrix's outputs by format, weighted by a calibration and estimated from
 * evenly spaced rows.
 *
 * @param energy the squares of the outputs themselves, for comparison
 * @param probe the error of {@link #PROBE}, rounded without a search, as a load does
 * @param searched errors of rounding with a search
 */
record RoundingError(double energy, double probe, Map<DType, Double> searched) {
  /** The format in which a class of matrices is measured. */
  static final DType PROBE = DType.INT4_BLOCKS;

  /** Elements that are rounded for an estimate. */
  private static final long SAMPLE = 1 << 17;

  /**
   * Rounds rows of a matrix.
   *
   * @param types with blocks that divide the rows
   * @throws CheckpointException if a number is not finite, or too large for its blocks
   */
  static RoundingError of(
      QuantizedMatrix matrix, RowSource rows, Calibration calibration, Set<DType> types) {
    int columns = Math.toIntExact(matrix.columns());
    long count = Math.clamp(SAMPLE / columns, 1, matrix.rows());
    float[] weights = calibration.weights(matrix);
    double scale = calibration.energy(matrix) * matrix.rows() / count;
    Map<DType, Double> searched = new EnumMap<>(DType.class);
    try (Arena arena = Arena.ofConfined()) {
      long rowBytes = rows.dtype().bytes(columns);
      MemorySegment stored = arena.allocate(count * rowBytes, Long.BYTES);
      for (long i = 0; i < count; i++) {
        MemorySegment into = stored.asSlice(i * rowBytes, rowBytes);
        rows.read(i * matrix.rows() / count, 1, 0, columns, into);
      }
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, count * columns);
      StoredType.of(rows.dtype()).decode(stored, floats);
      MemorySegment decoded = arena.allocate(floats.byteSize(), Float.BYTES);
      double energy = scale * squares(floats, decoded, weights, columns);
      double probe = 0;
      if (columns % PROBE.blockElements() == 0) {
        MemorySegment blocks = arena.allocate(PROBE.bytes(count * columns));
        PROBE.blocks().round(floats, blocks);
        PROBE.blocks().decode(blocks, decoded);
        probe = scale * squares(floats, decoded, weights, columns);
      }
      for (DType type : types) {
        MemorySegment blocks = arena.allocate(type.bytes(count * columns));
        type.blocks().search(floats, weights, columns, blocks);
        type.blocks().decode(blocks, decoded);
        searched.put(type, scale * squares(floats, decoded, weights, columns));
      }
      return new RoundingError(energy, probe, searched);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(
          matrix.name() + " cannot be held in blocks: " + e.getMessage(), e);
    }
  }

  /** The weighted squares of the differences of two matrices. */
  private static double squares(MemorySegment a, MemorySegment b, float[] weights, int columns) {
    double sum = 0;
    for (long i = 0; i < a.byteSize() / Float.BYTES; i++) {
      double difference =
          a.getAtIndex(ValueLayout.JAVA_FLOAT, i) - b.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      sum += (weights == null ? 1 : weights[(int) (i % columns)]) * difference * difference;
    }
    return sum;
  }
}
