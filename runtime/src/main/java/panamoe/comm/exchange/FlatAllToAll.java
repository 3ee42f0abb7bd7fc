package panamoe.comm.exchange;

import panamoe.comm.Communicator;
import panamoe.tensor.Tensor;

/**
 * Every rank sends to every other rank directly.
 *
 * @param sends rows for each rank
 * @param receives rows from each rank
 */
record FlatAllToAll(Communicator group, long[] sends, long[] receives) implements AllToAll {
  @Override
  public void forward(Tensor rows, Tensor arrived) {
    group.allToAll(rows, sends, arrived, receives);
  }

  @Override
  public void reverse(Tensor arrived, Tensor rows) {
    group.allToAll(arrived, receives, rows, sends);
  }
}
