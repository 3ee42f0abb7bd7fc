package panamoe.harness.bench;

/** Work to be timed, with inputs that rotate from call to call. Used by one thread. */
public interface Workload extends AutoCloseable {
  /** Call number {@code call}, from 0; returns when the work is done. */
  void run(int call);

  /** Floating-point operations of a call. */
  double flops();

  /**
   * Bytes that a call must read and write at least: weights of the experts hit, or what it moves.
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
