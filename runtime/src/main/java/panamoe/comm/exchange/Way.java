package panamoe.comm.exchange;

import panamoe.tensor.Tensor;

/** Where the rows of a {@link Plan} go, with all counts known. */
sealed interface Way permits FlatWay, HierarchicalWay, CoordinatedWay {
  /** Rows by destination to rows by source. */
  void forward(Tensor rows, Tensor arrived);

  /** Rows by source back to where they came from. */
  void reverse(Tensor arrived, Tensor rows);
}
