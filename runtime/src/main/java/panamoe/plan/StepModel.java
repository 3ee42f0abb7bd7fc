package panamoe.plan;

import java.util.EnumMap;
import java.util.Map;
import panamoe.comm.exchange.Strategy;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.engine.EngineConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.train.GradientMessage;
import panamoe.train.TrainConfig;

/**
 * The closed-form cost model of a step on a cluster. Bytes and FLOPs come from {@link
 * LanguageModel#cost}, so the model needs no allocated weights.
 */
public record StepModel(Node node, Efficiency efficiency, Optimizations optimizations, Skew skew) {
  /**
   * Bytes per parameter: AdamW reads and writes master and moments, and reads the gradient, in
   * FLOAT32.
   */
  private static final double OPTIMIZER_BYTES = 7 * 4;

  /** The gradient norm reads the gradient once more. */
  private static final double NORM_BYTES = 4;

  /** The master is read again to write its BFLOAT16 copy. */
  private static final double CAST_BYTES = 4 + 2;

  /** All experts are equally likely. */
  public StepModel(Node node, Efficiency efficiency, Optimizations optimizations) {
    this(node, efficiency, optimizations, Skew.EVEN);
  }

  /**
   * The time of an inference step.
   *
   * @param work per data rank, with the topology
   */
  public StepTime of(LanguageModel model, Work work) {
    ModelConfig config = model.config();
    Step step = Step.of(model, () -> new ServingStep(this, work, config.hidden()));
    double logits = (double) config.vocabulary() * work.logits() * work.topology().dataDegree();
    step.add(
        CostTerm.LAYERS,
        Efficiency.seconds(efficiency.step()) + logits * Efficiency.seconds(efficiency.logit()));
    return StepTime.of(CostTerm.SERVING, step.terms, 0);
  }

  /**
   * The time to the first token of one prompt per data rank. Like in the engine, prefill runs in
   * chunks of {@link EngineConfig#STEP_TOKENS} tokens.
   *
   * @param tokens of the prompt
   */
  public StepTime ofPrompt(LanguageModel model, int tokens, DType dtype, Topology topology) {
    Map<CostTerm, Double> terms = new EnumMap<>(CostTerm.class);
    for (int read = 0; read < tokens; read += EngineConfig.STEP_TOKENS) {
      int piece = Math.min(EngineConfig.STEP_TOKENS, tokens - read);
      long logits = read + piece == tokens ? 1 : 0;
      Work work = new Work(false, false, 1, read, piece, logits, dtype, topology);
      of(model, work).terms().forEach((term, seconds) -> terms.merge(term, seconds, Double::sum));
    }
    return StepTime.of(CostTerm.SERVING, terms, 0);
  }

  /** The time of an optimizer step, with all of its micro-batches. */
  public StepTime of(LanguageModel model, TrainConfig training, Topology topology) {
    Work work = training.withRecompute(false).work(topology);
    int hidden = model.config().hidden();
    Step step = Step.of(model, () -> new TrainingStep(this, work, hidden, training.recompute()));
    step.terms.replaceAll((_, seconds) -> seconds * training.batch().microBatches());
    step.add(
        CostTerm.GRADIENTS,
        new GradientTime(node, topology).seconds(GradientMessage.of(model, topology)));
    step.add(CostTerm.OPTIMIZER, optimizerBytes(model, training, topology) / step.rate());
    double dropped = step.routes == 0 ? 0 : step.dropped / step.routes;
    return StepTime.of(CostTerm.TRAINING, step.terms, dropped);
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

  /** True if a hierarchical exchange differs from a flat one in some layer. */
  boolean hasLevels(ModelConfig config, Topology topology) {
    ExchangeTime time = new ExchangeTime(node, topology, optimizations);
    return config.blocks().stream()
        .mapToInt(BlockConfig::experts)
        .filter(experts -> experts > 0)
        .anyMatch(experts -> time.hasLevels(topology.expertDegree(experts)));
  }

  StepModel with(Strategy strategy) {
    return new StepModel(node, efficiency, optimizations.with(strategy), skew);
  }

  /** Bytes per device that a plan may use. */
  public double room() {
    return node.memory().value() * efficiency.memory().value();
  }
}
