package panamoe.comm.exchange;

import panamoe.comm.Communicator;
import panamoe.tensor.Tensor;

/**
 * Every rank to every other.
 *
 * @param sends rows for each rank
 * @param receives rows from each rank
 */
record FlatWay(Communicator group, long[] sends, long[] receives) implements Way {
  @Override
  public void forward(Tensor rows, Tensor arrived) {
    group.allToAll(rows, sends, arrived, receives);
  }

  @Override
  public void reverse(Tensor arrived, Tensor rows) {
    group.allToAll(arrived, receives, rows, sends);
  }
}
