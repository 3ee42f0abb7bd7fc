package panamoe.checkpoint;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The target of a weight's elements.
 *
 * @param dtype required in a checkpoint of Panamoe
 * @param shape required in the files, not to be changed
 * @param share the part that is loaded
 * @param target of the share's shape: packed, rounded to its dtype, or, if row-major and of the
 *     stored dtype, read directly
 */
public record LoadTarget(DType dtype, long[] shape, Share share, Tensor target) {
  /**
   * An equal part of one dimension.
   *
   * @param axis 0 or 1, the divided dimension; ignored if {@code of} is 1
   * @param blocks parts of that dimension that are divided one by one
   * @param member index of the part, from 0
   * @param of number of parts
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

  /** Whether rows of a dtype are read directly into the target, without a staging buffer. */
  boolean direct(DType read) {
    return !target.packed() && target.dtype() == read;
  }
}
