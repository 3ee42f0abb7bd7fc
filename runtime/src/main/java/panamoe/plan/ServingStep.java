package panamoe.plan;

import panamoe.config.MoeConfig;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;

/** A step that reads tokens and writes the next ones. */
final class ServingStep extends Step {
  ServingStep(StepModel times, Work work, int hidden) {
    super(times, work, hidden);
  }

  @Override
  void dense(Cost cost) {
    layer(2);
    compute(Term.WEIGHTS, cost);
  }

  /** What every layer takes. */
  private void layer(int sums) {
    add(Term.LAYERS, Efficiency.seconds(times.efficiency().layer()));
    add(Term.ALL_REDUCE, sums * exchange.allReduce(work.bytes(hidden)));
  }

  @Override
  void experts(MoeConfig moe, Cost cost, MoeLayer layer, ExpertLoad load) {
    layer(sumsBeside(moe) ? 2 : 1);
    compute(Term.WEIGHTS, cost.without(layer.costOfExperts(work)));
    // The rank that has most to do.
    double hit =
        times.optimizations().skipsEmpty()
            ? load.mostHit(tokens(load))
            : topology.mostExperts(moe.experts());
    Cost busiest = layer.costOfExperts(work, load.most(tokens(load)), hit);
    double calls = hit * Efficiency.seconds(times.efficiency().expert());
    compute(Term.EXPERTS, busiest);
    add(Term.EXPERT_CALLS, calls);
    add(
        Term.EXCHANGE,
        exchange.waiting(
            load.degree(),
            rows(load.topK(), load),
            seconds(layer.costOverlapped(work)),
            seconds(busiest) + calls));
  }

  @Override
  void outside(Cost cost) {
    compute(Term.WEIGHTS, cost);
  }

  /** The longer of reading bytes and computing. */
  private void compute(Term term, Cost cost) {
    add(term, (cost.bytes() - cost.cache()) / rate());
    add(Term.KEYS_AND_VALUES, cost.cache() / rate());
    add(Term.COMPUTE, seconds(cost) - cost.bytes() / rate());
  }

  private double seconds(Cost cost) {
    return Math.max(cost.bytes() / rate(), cost.flops() / peak());
  }
}
