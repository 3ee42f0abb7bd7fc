package panamoe.checkpoint;

import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Where the elements of a stored tensor go.
 *
 * @param dtype that the file must hold
 * @param shape that the file must hold, not to be changed
 * @param targets tensors of that shape, each of which gets all elements: one that is packed gets
 *     them packed, one of another dtype gets them rounded, one that is row-major and of the stored
 *     dtype is read into directly
 */
public record Destination(DType dtype, long[] shape, List<Tensor> targets) {
  /** The row-major tensor itself, bit for bit. */
  public static Destination inPlace(Tensor tensor) {
    return new Destination(tensor.dtype(), tensor.shape(), List.of(tensor));
  }

  /** Bytes of the stored elements. */
  long bytes() {
    return Tensor.count(shape) * dtype.bytes();
  }

  /** The target that the file is read into, or null: then a piece is staged. */
  Tensor direct() {
    return targets.stream()
        .filter(target -> !target.packed() && target.dtype() == dtype)
        .findFirst()
        .orElse(null);
  }
}
