package panamoe.lab.bench;

import java.util.function.IntConsumer;
import panamoe.nn.Cost;
import panamoe.tensor.DType;

/** The work to time, with inputs that rotate from call to call. Used by one thread. */
public interface Workload extends AutoCloseable {
  /** Runs call number {@code call}, from 0, and waits for its end. */
  void run(int call);

  /**
   * Issues the captured kernels of a call without waiting; null if they are not captured, or not
   * before the first call.
   */
  default IntConsumer kernels() {
    return null;
  }

  /** Floating-point operations of a call, and the fewest bytes that it must read and write. */
  Cost cost();

  /**
   * The dtype of the products.
   *
   * @param compute the cell's dtype
   */
  default DType products(DType compute) {
    return compute;
  }

  /** The baseline that always alternates with this work; null for none. */
  default Beside beside() {
    return null;
  }

  /**
   * A baseline.
   *
   * @param label in the table's row
   */
  record Beside(String label, Contender contender) {}

  @Override
  void close();
}
