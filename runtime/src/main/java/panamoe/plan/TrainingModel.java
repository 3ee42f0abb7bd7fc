package panamoe.plan;

import java.util.EnumMap;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import panamoe.comm.exchange.Strategy;
import panamoe.config.BlockConfig;
import panamoe.config.MoeConfig;
import panamoe.model.LanguageModel;
import panamoe.moe.MoeLayer;
import panamoe.nn.Cost;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.train.GradientMessage;
import panamoe.train.TrainConfig;

/**
 * The time of an optimizer step on a cluster, in closed form. Bytes and FLOPs are those that {@link
 * LanguageModel#cost} counts. Where nothing is known of what layers take beside products,
 * micro-batches are so large that it hides behind these.
 */
public record TrainingModel(
    Node node, TrainingEfficiency efficiency, Optimizations optimizations, Skew skew) {
  /** AdamW reads and writes master and moments, and reads the gradient, all FLOAT32. */
  private static final double OPTIMIZER_BYTES = 7 * 4;

  /** The norm of gradients reads them once more. */
  private static final double NORM_BYTES = 4;

  /** A master is read again for its BFLOAT16 copy. */
  private static final double CAST_BYTES = 4 + 2;

  /**
   * @param model a description without memory will do
   */
  public TrainingTime of(LanguageModel model, TrainConfig training, Topology topology) {
    Work work = training.withRecompute(false).work(topology);
    Step step = new Step(work, model.config().hidden(), training.recompute());
    List<Cost> costs = model.blockCosts(work);
    Iterator<MoeLayer> layers = model.moeLayers().iterator();
    Cost all = model.cost(work);
    double flops = all.flops();
    double read = all.bytesRead();
    double written = all.bytesWritten();
    double kept = all.kept();
    Map<BlockConfig, Step> known = new IdentityHashMap<>();
    for (int i = 0; i < costs.size(); i++) {
      BlockConfig block = model.config().blocks().get(i);
      Cost cost = costs.get(i);
      flops -= cost.flops();
      read -= cost.bytesRead();
      written -= cost.bytesWritten();
      kept -= cost.kept();
      MoeLayer layer = block.experts() > 0 ? layers.next() : null;
      Step one = known.get(block);
      if (one == null || !skew.alike()) {
        one = new Step(work, model.config().hidden(), training.recompute());
        one.block(i, block, cost, layer);
        known.put(block, one);
      }
      step.add(one);
    }
    step.compute(new Cost(flops, read, written, kept, 0), flops / 3, step.activations(kept), false);
    step.terms.replaceAll((_, seconds) -> seconds * training.microBatches());
    step.add(
        TrainingTerm.GRADIENTS,
        new GradientTime(node, topology).seconds(GradientMessage.of(model, topology)));
    step.add(TrainingTerm.OPTIMIZER, optimizerBytes(model, training, topology) / step.rate());
    return new TrainingTime(
        StepTime.of(TrainingTerm.values(), step.terms),
        step.routes == 0 ? 0 : step.dropped / step.routes);
  }

  TrainingModel with(Strategy strategy) {
    return new TrainingModel(node, efficiency, optimizations.with(strategy), skew);
  }

  private static double optimizerBytes(
      LanguageModel model, TrainConfig training, Topology topology) {
    double bytes = 0;
    for (Parameter parameter : model.parameters().parameters()) {
      long count = parameter.count(topology);
      long share = Math.ceilDiv(count, parameter.replicas(topology));
      boolean copied =
          training.dtype() == DType.BFLOAT16
              && parameter.valueDType(DType.BFLOAT16) == DType.BFLOAT16;
      bytes += share * (OPTIMIZER_BYTES + NORM_BYTES) + (copied ? count * CAST_BYTES : 0);
    }
    return bytes;
  }

  /** The sums of a micro-batch, or of a block. */
  private final class Step {
    private final Work work;
    private final int hidden;
    private final boolean recompute;
    private final Topology topology;
    private final ExchangeTime exchange;
    private final Map<TrainingTerm, Double> terms = new EnumMap<>(TrainingTerm.class);
    private double routes;
    private double dropped;

    Step(Work work, int hidden, boolean recompute) {
      this.work = work;
      this.hidden = hidden;
      this.recompute = recompute;
      this.topology = work.topology();
      this.exchange = new ExchangeTime(node, topology, optimizations);
    }

    void block(int index, BlockConfig block, Cost cost, MoeLayer layer) {
      boolean beside =
          block.feedForward() instanceof MoeConfig moe
              && (moe.residual() != null || moe.shared() != null);
      sums(layer == null || beside ? 2 : 1);
      if (layer == null) {
        compute(cost, cost.flops() / 3, beside(cost.kept()), recompute);
        return;
      }
      experts(index, (MoeConfig) block.feedForward(), cost, layer);
    }

    /** Sums of activations in the forward, and of their gradients in the backward. */
    private void sums(int number) {
      add(
          TrainingTerm.ALL_REDUCE,
          number * (recompute ? 3 : 2) * exchange.allReduce(work.bytes(hidden)));
    }

    private void experts(int index, MoeConfig moe, Cost cost, MoeLayer layer) {
      int topK = moe.gate().topK();
      double elements = 0;
      for (Parameter matrix : layer.expertMatrices()) {
        elements += Tensor.count(matrix.matrixShape(topology));
      }
      ExpertLoad load = load(index, moe);
      long tokens =
          (long)
              Math.ceil(
                  (double) load.degree()
                      * work.tokens()
                      * topology.expertSlices()
                      / topology.tensorDegree());
      double allRows =
          (double) work.tokens() * topK * topology.expertSlices() / topology.tensorDegree();
      double mean = load.mean(tokens);
      double forward = cost.flops() / 3 - 2 * (allRows - mean) * elements;
      // Rows by expert are copied, as part of an exchange where they travel.
      compute(cost, forward, beside(cost.kept() - layer.dispatched(work)), recompute);
      double late = Math.max(0, load.most(tokens) - mean) * 2 * elements / peak();
      add(TrainingTerm.IMBALANCE, (recompute ? 4 : 3) * late);
      routes += (double) work.tokens() * topK;
      dropped += load.dropped() * work.tokens() * topK;
      double kept = topK * (1 - load.dropped());
      ExchangeTime.Rows rows =
          new ExchangeTime.Rows(
              kept * work.tokens(), kept * work.bytes(hidden), load.unevenness(tokens));
      double beside = layer.costBeside(work).flops() / 3 / peak();
      exchange(load.degree(), rows, beside, 2 * mean * elements / peak() + late);
    }

    private void exchange(int degree, ExchangeTime.Rows rows, double beside, double experts) {
      double forward = exchange.waiting(degree, rows, beside, experts);
      double backward = exchange.waiting(degree, rows, 2 * beside, 2 * experts);
      add(TrainingTerm.EXCHANGE, (recompute ? 2 : 1) * forward + backward);
    }

    /** A rank's own tokens fill its part of each expert's capacity. */
    private ExpertLoad load(int index, MoeConfig moe) {
      int topK = moe.gate().topK();
      int degree = topology.expertDegree(moe.experts());
      ExpertLoad all = new ExpertLoad(skew.chosen(index, moe.experts(), topK), topK, degree);
      long capacity = moe.gate().capacity(work.tokens(), moe.experts(), true);
      return capacity == 0 ? all : all.withCapacity(work.tokens(), capacity);
    }

    /**
     * The longer of computing and of moving bytes, forward and backward, and what is beside it.
     *
     * @param cost whose weights the backward reads again
     * @param flops of the forward
     * @param beside s of both; the backward has two thirds, as of FLOPs
     */
    void compute(Cost cost, double flops, double beside, boolean again) {
      double read = cost.bytesRead() / 2;
      double written = cost.bytesWritten();
      double forward = Math.max(flops / peak(), read / rate()) + beside / 3;
      double backward = Math.max(2 * flops / peak(), (read + written) / rate()) + 2 * beside / 3;
      add(TrainingTerm.FORWARD, forward);
      add(TrainingTerm.BACKWARD, backward);
      add(TrainingTerm.RECOMPUTATION, again ? forward : 0);
    }

    /** Seconds of a layer beside products and weights, as far as they are known. */
    private double beside(double kept) {
      return efficiency.layers() == null
          ? 0
          : efficiency.layers().layer().value() + activations(kept);
    }

    private double activations(double kept) {
      return efficiency.layers() == null ? 0 : kept * efficiency.layers().activation().value();
    }

    double rate() {
      return node.bandwidth().value() * efficiency.bandwidth().value();
    }

    double peak() {
      return node.flops().of(work.dtype()).value() * efficiency.flops().value();
    }

    void add(Step block) {
      block.terms.forEach(this::add);
      routes += block.routes;
      dropped += block.dropped;
    }

    void add(TrainingTerm term, double seconds) {
      terms.merge(term, seconds, Double::sum);
    }
  }
}
