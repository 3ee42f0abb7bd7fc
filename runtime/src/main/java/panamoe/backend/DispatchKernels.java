package panamoe.backend;

import panamoe.tensor.Tensor;

/** Tokens to rows grouped by expert. The row of a route is {@code offsets[expert] + position}. */
public interface DispatchKernels {
  /** x [S, M]; rows [R, M], R at least the kept routes; rows past them are left as they are. */
  void dispatchForward(Tensor x, Routes routes, Tensor rows);

  /** {@code dx[s]} = the sum of its routes' drows, in choice order. */
  void dispatchBackward(Tensor drows, Routes routes, Tensor dx);

  /**
   * The sender's part of an exchange of slots: turns {@code offsets} into {@code starts}, with
   * which {@link #dispatchForward} writes rows into messages and combine reads them there, and
   * writes the counts. P ranks have the E experts in order and evenly. A message is W words, or R
   * rows, for each rank; its last {@code ceil(E / P)} words are counts.
   *
   * @param rows R
   * @param offsets INT32 [E + 1], first row of each expert
   * @param slots INT32 [P, W]
   * @param starts INT32 [E + 1]
   */
  void slotStarts(long rows, Tensor offsets, Tensor slots, Tensor starts);

  /**
   * The receiver's part: routes by which {@link #dispatchForward} groups the rows of messages by
   * this rank's L experts, and {@link #dispatchBackward} puts them back.
   *
   * @param counts of a message, at least L
   * @param slots INT32 [P, W]
   * @param expert INT32 [P * R, 1], -1 for a row that is not taken
   * @param position INT32 [P * R, 1]
   * @param offsets INT32 [L + 1]
   */
  void slotRoutes(long counts, Tensor slots, Tensor expert, Tensor position, Tensor offsets);
}
