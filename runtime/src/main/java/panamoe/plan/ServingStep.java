package panamoe.plan;

import panamoe.config.MoeConfig;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;

/** The cost of a prefill or decode step. */
final class ServingStep extends Step {
  ServingStep(StepModel times, Work work, int hidden) {
    super(times, work, hidden);
  }

  @Override
  void dense(Cost cost) {
    layer(2);
    compute(CostTerm.WEIGHTS, cost);
  }

  /** Adds a layer's overhead, and the all-reduces of its tensor ranks. */
  private void layer(int sums) {
    add(CostTerm.LAYERS, Efficiency.seconds(times.efficiency().layer()));
    add(CostTerm.ALL_REDUCE, sums * exchange.allReduce(work.bytes(hidden)));
  }

  @Override
  void experts(MoeConfig moe, Cost cost, MoeLayer layer, ExpertLoad load) {
    layer(sumsBeside(moe) ? 2 : 1);
    compute(CostTerm.WEIGHTS, cost.without(layer.costOfExperts(work)));
    // The rank with the most experts to read decides.
    double hit =
        times.optimizations().skipsEmpty()
            ? load.mostHit(tokens(load))
            : topology.mostExperts(moe.experts());
    Cost busiest = layer.costOfExperts(work, load.most(tokens(load)), hit);
    double calls = hit * Efficiency.seconds(times.efficiency().expert());
    compute(CostTerm.EXPERTS, busiest);
    add(CostTerm.EXPERT_CALLS, calls);
    add(
        CostTerm.EXCHANGE,
        exchange.waiting(
            load.degree(),
            rows(load.topK(), load),
            seconds(layer.costOverlapped(work)),
            seconds(busiest) + calls));
  }

  @Override
  void outside(Cost cost) {
    compute(CostTerm.WEIGHTS, cost);
  }

  /** The longer of memory time and compute time (roofline). */
  private void compute(CostTerm term, Cost cost) {
    add(term, (cost.bytes() - cost.cache()) / rate());
    add(CostTerm.KEYS_AND_VALUES, cost.cache() / rate());
    add(CostTerm.COMPUTE, seconds(cost) - cost.bytes() / rate());
  }

  private double seconds(Cost cost) {
    return Math.max(cost.bytes() / rate(), cost.flops() / peak());
  }
}
