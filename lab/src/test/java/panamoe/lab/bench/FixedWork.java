package panamoe.lab.bench;

import panamoe.nn.Cost;

/** A workload that does nothing and has a given cost. */
record FixedWork(Cost cost) implements Workload {
  FixedWork(double flops, double bytes) {
    this(new Cost(flops, bytes, 0, 0, 0));
  }

  @Override
  public void run(int call) {}

  @Override
  public void close() {}
}
