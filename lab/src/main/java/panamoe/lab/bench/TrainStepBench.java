package panamoe.lab.bench;

import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.harness.probe.RandomTokens;
import panamoe.harness.train.Presets;
import panamoe.io.Count;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.nn.Cost;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import panamoe.train.Trainer;

/**
 * An optimizer step of the base preset (6 layers, hidden 256, 8 heads, 16 experts on every other
 * layer, top-1, vocabulary 8192) or of the demo's teacher. Batches are sequences of 256 random
 * tokens.
 */
record TrainStepBench(Backend backend, ModelConfig config, DType dtype, long seed)
    implements Bench {
  private static final ModelConfig BASE =
      ModelPresets.of(ModelPresets.Size.BASE, ModelPresets.Architecture.MOE, 8192);
  static final ModelConfig DEMO =
      ModelPresets.of(ModelPresets.Size.DEMO, ModelPresets.Architecture.PR_MOE, Presets.VOCABULARY);
  private static final int CONTEXT = BASE.context();
  private static final int STEPS = 1_000_000;

  /** The model of a step at this shape. */
  static ModelConfig model(LayerShape shape) {
    return shape.name().equals("demo") ? DEMO : BASE;
  }

  static void requireTokens(BenchKind kind, int tokens) {
    if (tokens % CONTEXT != 0) {
      throw Require.refusal(
          "%s over %s: expected a multiple of its sequences of %s",
          kind, Count.of(tokens, "token"), CONTEXT);
    }
  }

  static TrainConfig training(int tokens, DType dtype) {
    return TrainConfig.of(STEPS, tokens / CONTEXT, CONTEXT).withDType(dtype);
  }

  /**
   * The model's FLOPs, and AdamW's traffic: reads gradient, master and two moments; writes moments
   * and master.
   */
  static Cost stepCost(LanguageModel model, TrainConfig training) {
    double each = (double) DType.FLOAT32.bytes() * model.parameters().count();
    double flops = model.cost(training.work(Topology.ONE)).flops();
    return new Cost(flops, 4 * each, 3 * each, 0, 0);
  }

  @Override
  public Workload over(int tokens) {
    requireTokens(BenchKind.TRAIN_STEP, tokens);
    return new Step(tokens);
  }

  private final class Step implements Workload {
    private final TrainConfig training;
    private final LanguageModel model = new LanguageModel(config);
    private final Trainer trainer;

    Step(int tokens) {
      training = training(tokens, dtype);
      model.materialize(backend, dtype, true, seed);
      trainer =
          new Trainer(
              backend,
              model,
              new RunConfig(config, training, seed),
              new RandomTokens(config.vocabulary(), CONTEXT, seed));
    }

    @Override
    public void run(int call) {
      trainer.next();
      backend.synchronize();
    }

    @Override
    public Cost cost() {
      return stepCost(model, training);
    }

    @Override
    public void close() {
      model.close();
    }
  }
}
