package panamoe.plan;

import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import panamoe.comm.exchange.Strategy;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.model.LanguageModel;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.tensor.Tensor;

/**
 * The time of a step of inference on a cluster, in closed form. Bytes and FLOPs are those that
 * {@link LanguageModel#cost} counts; nothing is computed while rows travel.
 */
public record LatencyModel(Node node, Efficiency efficiency, Optimizations optimizations) {
  /**
   * @param model a description without memory will do
   * @param work of each data rank, with the topology
   */
  public StepTime of(LanguageModel model, Work work) {
    ModelConfig config = model.config();
    Step step = new Step(work, new ExchangeTime(node, work.topology(), optimizations));
    List<Cost> costs = model.blockCosts(work);
    Iterator<MoeLayer> layers = model.moeLayers().iterator();
    double outside = model.cost(work).bytes();
    double flopsOutside = model.cost(work).flops();
    for (int i = 0; i < costs.size(); i++) {
      BlockConfig block = config.blocks().get(i);
      Cost cost = costs.get(i);
      outside -= cost.bytes();
      flopsOutside -= cost.flops();
      step.block(block, cost, config.hidden(), block.experts() > 0 ? layers.next() : null);
    }
    step.compute(Term.WEIGHTS, outside, 0, flopsOutside);
    return new StepTime(step.terms);
  }

  /** Whether a hierarchical exchange differs from a flat one in any layer. */
  boolean hasLevels(ModelConfig config, Topology topology) {
    ExchangeTime time = new ExchangeTime(node, topology, optimizations);
    return config.blocks().stream()
        .mapToInt(BlockConfig::experts)
        .filter(experts -> experts > 0)
        .anyMatch(experts -> time.hasLevels(topology.expertDegree(experts)));
  }

  LatencyModel with(Strategy strategy) {
    return new LatencyModel(node, efficiency, optimizations.with(strategy));
  }

  /** The sums of a step. */
  private final class Step {
    private final Work work;
    private final Topology topology;
    private final ExchangeTime exchange;
    private final Map<Term, Double> terms = new EnumMap<>(Term.class);

    Step(Work work, ExchangeTime exchange) {
      this.work = work;
      this.topology = work.topology();
      this.exchange = exchange;
    }

    void block(BlockConfig block, Cost cost, int hidden, MoeLayer layer) {
      add(Term.LAYERS, efficiency.layer().value());
      double state = work.bytes(hidden);
      add(Term.ALL_REDUCE, exchange.allReduce(state));
      double cached =
          work.sequences()
              * block.attention().scores().keys(work.cached(), work.length())
              * block.attention().cacheRow(topology.tensorDegree()).bytes(work.dtype());
      if (layer == null) {
        add(Term.ALL_REDUCE, exchange.allReduce(state));
        compute(Term.WEIGHTS, cost.bytes() - cached, cached, cost.flops());
        return;
      }
      MoeConfig moe = (MoeConfig) block.feedForward();
      if (moe.residual() != null || moe.shared() != null) {
        add(Term.ALL_REDUCE, exchange.allReduce(state));
      }
      double elements = 0;
      for (Parameter matrix : layer.expertMatrices()) {
        elements += Tensor.count(matrix.matrixShape(topology));
      }
      int topK = moe.gate().topK();
      double meanRows =
          (double) work.tokens() * topK * topology.expertSlices() / topology.tensorDegree();
      double allRead = layer.cost(work).bytesRead();
      double noneRead = layer.cost(work, 0).bytesRead();
      compute(
          Term.WEIGHTS,
          cost.bytes() - (allRead - noneRead) - cached,
          cached,
          cost.flops() - 2 * meanRows * elements);
      experts(moe.experts(), topK, elements, layer.cost(work, 1).bytesRead() - noneRead);
      add(
          Term.EXCHANGE,
          exchange.exchange(topology.expertDegree(moe.experts()), topK * work.bytes(hidden)));
    }

    /** The experts of the rank that has most to do. */
    private void experts(int experts, int topK, double elements, double bytes) {
      int degree = topology.expertDegree(experts);
      int held = topology.mostExperts(experts);
      long tokens =
          (long)
              Math.ceil(
                  (double) degree
                      * work.tokens()
                      * topology.expertSlices()
                      / topology.tensorDegree());
      double rows = ExpectedMost.of(tokens * topK, (double) held / experts, degree);
      double missed = Math.pow(1 - (double) topK / experts, tokens);
      double hit = optimizations.skipsEmpty() ? ExpectedMost.of(held, 1 - missed, degree) : held;
      compute(Term.EXPERTS, hit * bytes, 0, 2 * rows * elements);
      add(Term.EXPERT_CALLS, hit * efficiency.expert().value());
    }

    /** The longer of reading bytes and computing. */
    void compute(Term term, double bytes, double cached, double flops) {
      double rate = node.bandwidth().value() * efficiency.bandwidth().value();
      double peak = node.flops().of(work.dtype()).value() * efficiency.flops().value();
      add(term, bytes / rate);
      add(Term.KEYS_AND_VALUES, cached / rate);
      add(Term.COMPUTE, Math.max(0, flops / peak - (bytes + cached) / rate));
    }

    private void add(Term term, double seconds) {
      terms.merge(term, seconds, Double::sum);
    }
  }
}
