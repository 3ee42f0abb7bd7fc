package panamoe.op;

import panamoe.tensor.Tensor;

/** Copies columns of heads between arrangements. */
public final class HeadsOp {
  private HeadsOp() {}

  /**
   * Columns {@code from} to {@code from + count} of x [A, B, X].
   *
   * @param turned whether x is [B, A, X]
   */
  public record Part(Tensor x, boolean turned, int from, int count) {
    /** Copies without turning. */
    public static Part of(Tensor x, int from, int count) {
      return new Part(x, false, from, count);
    }

    /** Sorts rows of tokens by head, or back. */
    public static Part turned(Tensor x, int from, int count) {
      return new Part(x, true, from, count);
    }
  }

  /** Concatenates the columns of the parts: [A, B, sum of their counts]. */
  public static Tensor join(Pass pass, Part... parts) {
    Tensor first = parts[0].x();
    long width = 0;
    for (Part part : parts) {
      width += part.count();
    }
    int outer = parts[0].turned() ? 1 : 0;
    Tensor y = pass.allocate(first.dtype(), first.size(outer), first.size(1 - outer), width);
    long to = 0;
    for (Part part : parts) {
      pass.backend().headCopy(part.turned(), part.from(), to, part.count(), part.x(), y);
      to += part.count();
    }
    pass.record(y, dy -> backward(pass, dy, parts));
    return y;
  }

  private static void backward(Pass pass, Tensor dy, Part... parts) {
    long from = 0;
    for (Part part : parts) {
      Tensor dx = pass.allocate(part.x().dtype(), part.x().shape());
      if (part.count() < part.x().size(2)) {
        pass.backend().fill(0, dx);
      }
      pass.backend().headCopy(part.turned(), from, part.from(), part.count(), dy, dx);
      pass.tape().addGradient(part.x(), dx);
      from += part.count();
    }
    dy.owner().release();
  }
}
