package panamoe.plan;

import java.util.EnumMap;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import panamoe.config.BlockConfig;
import panamoe.config.MoeConfig;
import panamoe.model.LanguageModel;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.parallel.Topology;

/** Accumulates the cost terms of a step, or of one of its blocks. */
abstract class Step {
  final StepModel times;
  final Work work;
  final int hidden;
  final Topology topology;
  final ExchangeTime exchange;
  final Map<CostTerm, Double> terms = new EnumMap<>(CostTerm.class);

  /** Routes of a rank; {@link #dropped} counts those beyond capacities. */
  double routes;

  double dropped;

  Step(StepModel times, Work work, int hidden) {
    this.times = times;
    this.work = work;
    this.hidden = hidden;
    this.topology = work.topology();
    this.exchange = new ExchangeTime(times.node(), topology, times.optimizations());
  }

  /** Adds a block with a dense feed-forward layer. */
  abstract void dense(Cost cost);

  /**
   * Adds a block with an MoE layer.
   *
   * @param load of its experts before drops
   */
  abstract void experts(MoeConfig moe, Cost cost, MoeLayer layer, ExpertLoad load);

  /** Adds embedding, final norm and head. */
  abstract void outside(Cost cost);

  /**
   * The cost of a whole model. Equal blocks with equal expert probabilities are computed once.
   *
   * @param empty creates an empty accumulator
   */
  static Step of(LanguageModel model, Supplier<Step> empty) {
    Step all = empty.get();
    List<Cost> costs = model.blockCosts(all.work);
    Iterator<MoeLayer> layers = model.moeLayers().iterator();
    Cost outside = model.cost(all.work);
    Map<BlockConfig, Step> known = new IdentityHashMap<>();
    for (int i = 0; i < costs.size(); i++) {
      BlockConfig block = model.config().blocks().get(i);
      outside = outside.without(costs.get(i));
      MoeLayer layer = block.experts() > 0 ? layers.next() : null;
      Step one = known.get(block);
      if (one == null || !all.times.skew().alike()) {
        one = empty.get();
        one.block(i, block, costs.get(i), layer);
        known.put(block, one);
      }
      one.terms.forEach(all::add);
      all.routes += one.routes;
      all.dropped += one.dropped;
    }
    all.outside(outside);
    return all;
  }

  private void block(int index, BlockConfig block, Cost cost, MoeLayer layer) {
    if (layer == null) {
      dense(cost);
      return;
    }
    MoeConfig moe = (MoeConfig) block.feedForward();
    int topK = moe.gate().topK();
    double[] chosen = times.skew().chosen(index, moe.experts(), topK);
    experts(moe, cost, layer, new ExpertLoad(chosen, topK, topology.expertDegree(moe.experts())));
  }

  /** True if an MLP next to the experts needs its own all-reduce. */
  static boolean sumsBeside(MoeConfig moe) {
    return moe.residual() != null || moe.shared() != null;
  }

  /** Tokens of all ranks of an expert group. */
  long tokens(ExpertLoad load) {
    return (long)
        Math.ceil(
            (double) load.degree()
                * work.tokens()
                * topology.expertSlices()
                / topology.tensorDegree());
  }

  /** The rows of this rank's tokens that are exchanged. */
  ExchangeTime.Rows rows(double each, ExpertLoad load) {
    return new ExchangeTime.Rows(
        each * work.tokens(), each * work.bytes(hidden), load.unevenness(tokens(load)));
  }

  double rate() {
    return times.node().bandwidth().value() * times.efficiency().bandwidth().value();
  }

  double peak() {
    return times.node().flops().of(work.dtype()).value() * times.efficiency().flops().value();
  }

  void add(CostTerm term, double seconds) {
    terms.merge(term, seconds, Double::sum);
  }
}
