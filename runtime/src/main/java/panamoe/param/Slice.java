package panamoe.param;

import java.lang.foreign.MemorySegment;
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/**
 * A tensor rank's part of a matrix or vector: an equal share of one dimension.
 *
 * @param ranks in the order of their shares; a single rank holds the whole
 * @param axis the divided dimension; -1 if each rank holds everything
 * @param blocks parts of that dimension that are divided one by one: 2 for the halves of a SwiGLU
 *     matrix, otherwise 1
 */
public record Slice(Communicator ranks, int axis, int blocks) {
  /** Everything, on every rank. */
  public static final Slice WHOLE = new Slice(SelfCommunicator.WORLD, -1, 1);

  public boolean whole() {
    return ranks.size() == 1;
  }

  /** The shape of one of {@code size} ranks' share of {@code shape}. */
  long[] shape(int size, long... shape) {
    long[] share = shape.clone();
    if (axis >= 0) {
      requireDivides(size, shape[axis]);
      share[axis] /= size;
    }
    return share;
  }

  /** The number of elements of the share. */
  long count(int size, long... shape) {
    long count = Tensor.count(shape);
    if (axis < 0 || size == 1) {
      return count;
    }
    requireDivides(size, shape[axis]);
    return count / size;
  }

  private void requireDivides(int size, long length) {
    if (length % ((long) blocks * size) != 0) {
      throw new IllegalArgumentException(
          "a dimension of " + length / blocks + " does not divide among " + size + " tensor ranks");
    }
  }

  /** Copies member {@code rank}'s share out of the whole. */
  public void cut(Tensor whole, int rank, Tensor share) {
    MemorySegment from = HostView.elements(whole);
    HostView view = HostView.of(share);
    MemorySegment to = view.memory();
    eachRun(
        whole,
        rank,
        (inWhole, inShare, bytes) -> MemorySegment.copy(from, inWhole, to, inShare, bytes));
    view.write();
  }

  /** Copies member {@code rank}'s share into the whole. */
  public void paste(Tensor share, int rank, Tensor whole) {
    MemorySegment from = HostView.elements(share);
    HostView view = HostView.of(whole);
    view.read();
    MemorySegment to = view.memory();
    eachRun(
        whole,
        rank,
        (inWhole, inShare, bytes) -> MemorySegment.copy(from, inShare, to, inWhole, bytes));
    view.write();
  }

  /** Bytes that are contiguous both in the whole and in the share. */
  private interface Run {
    void at(long inWhole, long inShare, long bytes);
  }

  private void eachRun(Tensor whole, int rank, Run run) {
    long outer = 1;
    for (int i = 0; i < axis; i++) {
      outer *= whole.size(i);
    }
    long block = whole.bytes() / (outer * blocks);
    long bytes = block / ranks.size();
    for (long i = 0; i < outer * blocks; i++) {
      run.at(i * block + rank * bytes, i * bytes, bytes);
    }
  }
}
