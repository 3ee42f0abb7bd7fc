package panamoe.lab.bench;

import java.util.function.IntConsumer;
import panamoe.nn.Cost;
import panamoe.tensor.DType;

/** The work to time, with inputs that rotate from call to call. Used by one thread. */
public interface Workload extends AutoCloseable {
  /** Runs call number {@code call}, from 0, and waits for its end. */
  void run(int call);

  /**
   * Launches the captured kernels of a call without waiting for their end; null if they are not
   * captured, or only by a call.
   */
  default IntConsumer kernels() {
    return null;
  }

  /** Floating-point operations of a call, and the fewest bytes that it must read and write. */
  Cost cost();

  /**
   * The dtype that is multiplied.
   *
   * @param compute the cell's
   */
  default DType products(DType compute) {
    return compute;
  }

  /** What the work is measured beside, in turns, whoever asks; null for nothing. */
  default Beside beside() {
    return null;
  }

  /**
   * Someone to compare with.
   *
   * @param label of the table's row
   */
  record Beside(String label, Contender contender) {}

  @Override
  void close();
}
