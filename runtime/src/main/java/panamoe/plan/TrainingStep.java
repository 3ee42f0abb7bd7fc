package panamoe.plan;

import panamoe.config.MoeConfig;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;

/** A micro-batch, forward and backward. */
final class TrainingStep extends Step {
  private final boolean recompute;

  /**
   * @param work without recomputation, whose time is a term of its own
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

  /** Sums of activations in the forward, and of their gradients in the backward. */
  private void sums(int number) {
    add(Term.ALL_REDUCE, number * (recompute ? 3 : 2) * exchange.allReduce(work.bytes(hidden)));
  }

  @Override
  void experts(MoeConfig moe, Cost cost, MoeLayer layer, ExpertLoad all) {
    sums(sumsBeside(moe) ? 2 : 1);
    // A rank's own tokens fill its part of each expert's capacity.
    long capacity = moe.gate().capacity(work.tokens(), moe.experts(), true);
    ExpertLoad load = capacity == 0 ? all : all.withCapacity(work.tokens(), capacity);
    long tokens = tokens(load);
    double mean = load.mean(tokens);
    double experts = forward(layer, mean);
    double forward = (cost.flops() - layer.costOfExperts(work).flops()) / 3 + experts;
    // Rows by expert are copied, as part of an exchange where they travel.
    compute(cost, forward, layer(cost.kept() - layer.dispatched(work)), recompute);
    double late = forward(layer, Math.max(0, load.most(tokens) - mean)) / peak();
    add(Term.IMBALANCE, (recompute ? 4 : 3) * late);
    routes += (double) work.tokens() * load.topK();
    dropped += load.dropped() * work.tokens() * load.topK();
    ExchangeTime.Rows rows = rows(load.topK() * (1 - load.dropped()), load);
    double beside = layer.costOverlapped(work).flops() / 3 / peak();
    double computed = experts / peak() + late;
    double there = exchange.waiting(load.degree(), rows, beside, computed);
    double back = exchange.waiting(load.degree(), rows, 2 * beside, 2 * computed);
    add(Term.EXCHANGE, (recompute ? 2 : 1) * there + back);
  }

  /** FLOPs of experts' products with {@code rows} rows. */
  private double forward(MoeLayer layer, double rows) {
    return layer.costOfExperts(work, rows, 0).flops() / 3;
  }

  @Override
  void outside(Cost cost) {
    compute(cost, cost.flops() / 3, activations(cost.kept()), false);
  }

  /**
   * The longer of computing and of moving bytes, forward and backward, and what is beside it.
   *
   * @param cost whose weights the backward reads again
   * @param flops of the forward
   * @param beside s of both; the backward has two thirds, as of FLOPs
   */
  private void compute(Cost cost, double flops, double beside, boolean again) {
    double read = cost.bytesRead() / 2;
    double forward = Math.max(flops / peak(), read / rate()) + beside / 3;
    double backward =
        Math.max(2 * flops / peak(), (read + cost.bytesWritten()) / rate()) + 2 * beside / 3;
    add(Term.FORWARD, forward);
    add(Term.BACKWARD, backward);
    add(Term.RECOMPUTATION, again ? forward : 0);
  }

  /** Seconds of a layer beside products and weights, as far as they are known. */
  private double layer(double kept) {
    return Efficiency.seconds(times.efficiency().layer()) + activations(kept);
  }

  private double activations(double kept) {
    return kept * Efficiency.seconds(times.efficiency().activation());
  }
}
