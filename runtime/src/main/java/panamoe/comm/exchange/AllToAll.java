package panamoe.comm.exchange;

import panamoe.tensor.Tensor;

/** The algorithm that moves the rows of an {@link ExchangePlan}, with all counts known. */
sealed interface AllToAll permits FlatAllToAll, HierarchicalAllToAll, CoordinatedAllToAll {
  /** Sends rows ordered by destination; {@code arrived} is ordered by source. */
  void forward(Tensor rows, Tensor arrived);

  /** The inverse of {@link #forward}: sends rows back to their sources. */
  void reverse(Tensor arrived, Tensor rows);
}
