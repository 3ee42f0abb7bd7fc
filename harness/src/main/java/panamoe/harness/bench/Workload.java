package panamoe.harness.bench;

import panamoe.nn.Cost;

/** The work to time, with inputs that rotate from call to call. Used by one thread. */
public interface Workload extends AutoCloseable {
  /** Runs call number {@code call}, from 0, and waits for its end. */
  void run(int call);

  /** Floating-point operations of a call, and the fewest bytes that it must read and write. */
  Cost cost();

  @Override
  void close();
}
