package panamoe.plan;

import panamoe.config.MoeConfig;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;

/** The cost of a micro-batch, forward and backward. */
final class TrainingStep extends Step {
  private final boolean recompute;

  /**
   * @param work without recomputation, which is a term of its own
   */
  TrainingStep(StepModel times, Work work, int hidden, boolean recompute) {
    super(times, work, hidden);
    this.recompute = recompute;
  }

  @Override
  void dense(Cost cost) {
    sums(2);
    compute(cost, cost.flops() / 3, layer(cost.kept()), recompute);
  }

  /** All-reduces of activations in the forward, and of their gradients in the backward. */
  private void sums(int number) {
    add(CostTerm.ALL_REDUCE, number * (recompute ? 3 : 2) * exchange.allReduce(work.bytes(hidden)));
  }

  @Override
  void experts(MoeConfig moe, Cost cost, MoeLayer layer, ExpertLoad all) {
    sums(sumsBeside(moe) ? 2 : 1);
    // Each rank's tokens fill its own part of an expert's capacity.
    long capacity = moe.gate().capacity(work.tokens(), moe.experts(), true);
    ExpertLoad load = capacity == 0 ? all : all.withCapacity(work.tokens(), capacity);
    long tokens = tokens(load);
    double mean = load.mean(tokens);
    double experts = forward(layer, mean);
    double forward = (cost.flops() - layer.costOfExperts(work).flops()) / 3 + experts;
    // Rows grouped by expert are copies; their time belongs to the exchange.
    compute(cost, forward, layer(cost.kept() - layer.dispatched(work)), recompute);
    double late = forward(layer, Math.max(0, load.most(tokens) - mean)) / peak();
    add(CostTerm.IMBALANCE, (recompute ? 4 : 3) * late);
    routes += (double) work.tokens() * load.topK();
    dropped += load.dropped() * work.tokens() * load.topK();
    ExchangeTime.Rows rows = rows(load.topK() * (1 - load.dropped()), load);
    double beside = layer.costOverlapped(work).flops() / 3 / peak();
    double computed = experts / peak() + late;
    double there = exchange.waiting(load.degree(), rows, beside, computed);
    double back = exchange.waiting(load.degree(), rows, 2 * beside, 2 * computed);
    add(CostTerm.EXCHANGE, (recompute ? 2 : 1) * there + back);
  }

  /** Forward FLOPs of the experts for {@code rows} rows. */
  private double forward(MoeLayer layer, double rows) {
    return layer.costOfExperts(work, rows, 0).flops() / 3;
  }

  @Override
  void outside(Cost cost) {
    compute(cost, cost.flops() / 3, activations(cost.kept()), false);
  }

  /**
   * Adds the roofline time (the longer of FLOPs and bytes) of forward and backward, and overhead.
   *
   * @param cost bytes and FLOPs; the backward reads the weights again
   * @param flops of the forward pass
   * @param beside overhead of both passes in seconds; the backward has two thirds of it, like of
   *     FLOPs
   */
  private void compute(Cost cost, double flops, double beside, boolean again) {
    double read = cost.bytesRead() / 2;
    double forward = Math.max(flops / peak(), read / rate()) + beside / 3;
    double backward =
        Math.max(2 * flops / peak(), (read + cost.bytesWritten()) / rate()) + 2 * beside / 3;
    add(CostTerm.FORWARD, forward);
    add(CostTerm.BACKWARD, backward);
    add(CostTerm.RECOMPUTATION, again ? forward : 0);
  }

  /** Measured overhead of a layer, beyond products and weights; 0 if not measured. */
  private double layer(double kept) {
    return Efficiency.seconds(times.efficiency().layer()) + activations(kept);
  }

  private double activations(double kept) {
    return kept * Efficiency.seconds(times.efficiency().activation());
  }
}
