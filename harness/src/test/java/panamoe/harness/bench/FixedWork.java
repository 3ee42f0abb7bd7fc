package panamoe.harness.bench;

/** A workload with given counts that does nothing. */
record FixedWork(double flops, double bytes) implements Workload {
  @Override
  public void run(int call) {}

  @Override
  public void close() {}
}
