package panamoe.param;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import panamoe.backend.Backend;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * One expert as a unit that is read at once: its two matrices, or this rank's slices of them,
 * packed, one after the other.
 *
 * @param up dtype of the first matrix
 * @param upShape [N, K]
 * @param down dtype of the second matrix
 * @param downShape [M, F]
 * @param downStart its first byte
 * @param bytes of the unit
 * @param types that say how the matrices are multiplied
 */
public record ExpertLayout(
    DType up,
    long[] upShape,
    DType down,
    long[] downShape,
    long downStart,
    long bytes,
    WeightTypes types) {
  /** What kernels load at once: tensors begin there. */
  private static final long ALIGNMENT = 64;

  static ExpertLayout of(Backend backend, WeightTypes types, Parameter up, Parameter down) {
    DType upType = types.of(up);
    DType downType = types.of(down);
    long[] upShape = shapeOfOne(up);
    long[] downShape = shapeOfOne(down);
    long downStart = Math.ceilDiv(backend.packedBytes(upType, upShape), ALIGNMENT) * ALIGNMENT;
    long bytes = downStart + backend.packedBytes(downType, downShape);
    return new ExpertLayout(upType, upShape, downType, downShape, downStart, bytes, types);
  }

  private static long[] shapeOfOne(Parameter stack) {
    long[] all = stack.shape();
    return Arrays.copyOfRange(all, 1, all.length);
  }

  /**
   * The first matrix of a unit in memory that the scope's backend allocated.
   *
   * @param shape [N, K], or [1, N, K]
   */
  public Tensor up(TensorScope scope, MemorySegment unit, long... shape) {
    return types.multiplied(scope.overPacked(unit.asSlice(0, downStart), up, shape));
  }

  /** The second one; otherwise as {@link #up}. */
  public Tensor down(TensorScope scope, MemorySegment unit, long... shape) {
    return types.multiplied(
        scope.overPacked(unit.asSlice(downStart, bytes - downStart), down, shape));
  }
}
