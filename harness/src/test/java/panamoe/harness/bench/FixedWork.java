package panamoe.harness.bench;

/** So much work, and nothing done. */
record FixedWork(double flops, double bytes) implements Workload {
  @Override
  public void run(int call) {}

  @Override
  public void close() {}
}
