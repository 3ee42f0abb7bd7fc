package panamoe.checkpoint;

import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Where the elements of a weight go.
 *
 * @param dtype that a checkpoint of Panamoe must hold
 * @param shape that the files must hold, not to be changed
 * @param share of them that is wanted
 * @param targets tensors of the share's shape, each of which gets all of its elements: one that is
 *     packed gets them packed, one of another dtype gets them rounded, one that is row-major and of
 *     the dtype that is read is read into directly
 */
public record LoadTarget(DType dtype, long[] shape, Share share, List<Tensor> targets) {
  /**
   * An equal part of one dimension.
   *
   * @param axis 0 or 1, the dimension that is divided; of no meaning where {@code of} is 1
   * @param blocks parts of that dimension that are divided one by one
   * @param member which part, from 0
   * @param of how many there are
   */
  public record Share(int axis, int blocks, int member, int of) {
    public static final Share WHOLE = new Share(0, 1, 0, 1);

    boolean whole() {
      return of == 1;
    }
  }

  long[] shareShape() {
    long[] part = shape.clone();
    if (!share.whole()) {
      part[share.axis()] /= share.of();
    }
    return part;
  }

  /** Bytes of the share's stored elements. */
  long bytes() {
    return Tensor.count(shareShape()) * dtype.bytes();
  }

  /** The target that rows of a dtype are read into, or null: then a piece is staged. */
  Tensor direct(DType read) {
    return targets.stream()
        .filter(target -> !target.packed() && target.dtype() == read)
        .findFirst()
        .orElse(null);
  }
}
