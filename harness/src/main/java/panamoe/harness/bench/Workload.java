package panamoe.harness.bench;

/** The work to time, with inputs that rotate from call to call. Used by one thread. */
public interface Workload extends AutoCloseable {
  /** Runs call number {@code call}, from 0, and waits for its end. */
  void run(int call);

  /** Floating-point operations of a call. */
  double flops();

  /**
   * The fewest bytes that a call must read and write: the weights of the experts with tokens, or
   * the moved rows.
   */
  double bytes();

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
