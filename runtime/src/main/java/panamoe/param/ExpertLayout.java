package panamoe.param;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * One expert as a unit to read: its packed matrices, or this rank's slices of them, one after the
 * other.
 *
 * @param bytes of the unit
 */
public record ExpertLayout(List<Matrix> matrices, long bytes) {
  /** Alignment of tensors, for vector loads of kernels. */
  private static final long ALIGNMENT = 64;

  /**
   * A matrix within a unit.
   *
   * @param stack the parameter that it is a matrix of
   * @param start its first byte
   * @param types that say how it is multiplied
   */
  public record Matrix(Parameter stack, DType dtype, long start, long bytes, WeightTypes types) {
    /** [N, K]. */
    public long[] shape() {
      return Arrays.copyOfRange(stack.shape(), 1, 3);
    }

    /** The matrix as a stack [1, N, K] in memory that the scope's backend allocated. */
    public Tensor in(TensorScope scope, MemorySegment unit) {
      long[] shape = shape();
      MemorySegment own = unit.asSlice(start, bytes);
      return types.multiplied(scope.overPacked(own, dtype, 1, shape[0], shape[1]));
    }
  }

  /** The layout of an expert of a layer with stacked matrices, the rank's {@code index}-th. */
  public static ExpertLayout of(
      Backend backend, WeightTypes types, List<Parameter> stacks, int index) {
    List<Matrix> matrices = new ArrayList<>();
    long end = 0;
    for (Parameter stack : stacks) {
      DType dtype = types.of(stack, index);
      long start = Math.ceilDiv(end, ALIGNMENT) * ALIGNMENT;
      long bytes = backend.packedBytes(dtype, stack.shape()[1], stack.shape()[2]);
      matrices.add(new Matrix(stack, dtype, start, bytes, types));
      end = start + bytes;
    }
    return new ExpertLayout(matrices, end);
  }
}
