package panamoe.plan;

import java.util.EnumMap;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import panamoe.comm.exchange.Strategy;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.engine.EngineConfig;
import panamoe.model.LanguageModel;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The time of a step of inference on a cluster, in closed form. Bytes and FLOPs are those that
 * {@link LanguageModel#cost} counts.
 */
public record LatencyModel(
    Node node, Efficiency efficiency, Optimizations optimizations, Skew skew) {
  public LatencyModel {
    if (optimizations.overlap() > 1) {
      throw new IllegalArgumentException(
          "the overlap is "
              + optimizations.overlap()
              + " parts; serving is planned with 0 or 1, because for each part of a step's few rows"
              + " a rank reads its experts again");
    }
  }

  /** Where tokens choose all experts alike. */
  public LatencyModel(Node node, Efficiency efficiency, Optimizations optimizations) {
    this(node, efficiency, optimizations, Skew.EVEN);
  }

  /**
   * @param model a description without memory will do
   * @param work of each data rank, with the topology
   */
  public StepTime of(LanguageModel model, Work work) {
    ModelConfig config = model.config();
    Step step = new Step(work, config.hidden());
    List<Cost> costs = model.blockCosts(work);
    Iterator<MoeLayer> layers = model.moeLayers().iterator();
    Cost all = model.cost(work);
    double outside = all.bytes();
    double flopsOutside = all.flops();
    Map<BlockConfig, Step> known = new IdentityHashMap<>();
    for (int i = 0; i < costs.size(); i++) {
      BlockConfig block = config.blocks().get(i);
      Cost cost = costs.get(i);
      outside -= cost.bytes();
      flopsOutside -= cost.flops();
      MoeLayer layer = block.experts() > 0 ? layers.next() : null;
      Step one = known.get(block);
      if (one == null || !skew.alike()) {
        one = new Step(work, config.hidden());
        one.block(i, block, cost, layer);
        known.put(block, one);
      }
      one.terms.forEach(step::add);
    }
    step.compute(Term.WEIGHTS, outside, 0, flopsOutside);
    if (efficiency.engine() != null) {
      double logits = (double) config.vocabulary() * work.logits() * work.topology().dataDegree();
      step.add(
          Term.LAYERS,
          efficiency.engine().step().value() + logits * efficiency.engine().logit().value());
    }
    return StepTime.of(Term.values(), step.terms);
  }

  /**
   * The time until a prompt of each data rank has been read and its first token is known. As the
   * engine does, it is read in pieces of {@link EngineConfig#STEP_TOKENS} tokens.
   *
   * @param tokens of the prompt
   */
  public StepTime ofPrompt(LanguageModel model, int tokens, DType dtype, Topology topology) {
    Map<StepTerm, Double> terms = new HashMap<>();
    for (int read = 0; read < tokens; read += EngineConfig.STEP_TOKENS) {
      int piece = Math.min(EngineConfig.STEP_TOKENS, tokens - read);
      long logits = read + piece == tokens ? 1 : 0;
      Work work = new Work(false, false, 1, read, piece, logits, dtype, topology);
      of(model, work).terms().forEach((term, seconds) -> terms.merge(term, seconds, Double::sum));
    }
    return StepTime.of(Term.values(), terms);
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
    return new LatencyModel(node, efficiency, optimizations.with(strategy), skew);
  }

  /** The sums of a step, or of a block. */
  private final class Step {
    private final Work work;
    private final int hidden;
    private final Topology topology;
    private final ExchangeTime exchange;
    private final Map<Term, Double> terms = new EnumMap<>(Term.class);

    Step(Work work, int hidden) {
      this.work = work;
      this.hidden = hidden;
      this.topology = work.topology();
      this.exchange = new ExchangeTime(node, topology, optimizations);
    }

    void block(int index, BlockConfig block, Cost cost, MoeLayer layer) {
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
      Cost beside = layer.costBeside(work);
      ExpertLoad load =
          new ExpertLoad(
              skew.chosen(index, moe.experts(), topK), topK, topology.expertDegree(moe.experts()));
      add(
          Term.EXCHANGE,
          exchange.waiting(
              load.degree(),
              new ExchangeTime.Rows(
                  (double) topK * work.tokens(),
                  topK * work.bytes(hidden),
                  load.unevenness(tokens(load))),
              seconds(beside.bytes(), beside.flops()),
              experts(load, elements, layer.cost(work, 1).bytesRead() - noneRead)));
    }

    /** Those whose rows a group of experts gets. */
    private long tokens(ExpertLoad load) {
      return (long)
          Math.ceil(
              (double) load.degree()
                  * work.tokens()
                  * topology.expertSlices()
                  / topology.tensorDegree());
    }

    /** Seconds of the experts of the rank that has most to do, which are added. */
    private double experts(ExpertLoad load, double elements, double bytes) {
      long tokens = tokens(load);
      double hit =
          optimizations.skipsEmpty()
              ? load.mostHit(tokens)
              : topology.mostExperts(load.chosen().length);
      double flops = 2 * load.most(tokens) * elements;
      double calls = hit * efficiency.expert().value();
      compute(Term.EXPERTS, hit * bytes, 0, flops);
      add(Term.EXPERT_CALLS, calls);
      return seconds(hit * bytes, flops) + calls;
    }

    /** The longer of reading bytes and computing. */
    void compute(Term term, double bytes, double cached, double flops) {
      add(term, bytes / rate());
      add(Term.KEYS_AND_VALUES, cached / rate());
      add(Term.COMPUTE, seconds(bytes + cached, flops) - (bytes + cached) / rate());
    }

    private double seconds(double bytes, double flops) {
      double peak = node.flops().of(work.dtype()).value() * efficiency.flops().value();
      return Math.max(bytes / rate(), flops / peak);
    }

    private double rate() {
      return node.bandwidth().value() * efficiency.bandwidth().value();
    }

    private void add(Term term, double seconds) {
      terms.merge(term, seconds, Double::sum);
    }
  }
}
