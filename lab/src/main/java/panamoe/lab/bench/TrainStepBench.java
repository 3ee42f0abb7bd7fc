package panamoe.lab.bench;

import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.harness.probe.RandomTokens;
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
 * An optimizer step of the base preset: 6 layers, hidden 256, 8 heads, 16 experts on every other
 * layer, top-1, vocabulary 8192. Batches are sequences of 256 random tokens.
 */
record TrainStepBench(Backend backend, DType dtype, long seed) implements Bench {
  static final int VOCABULARY = 8192;
  private static final int STEPS = 1_000_000;

  static final ModelConfig CONFIG =
      ModelPresets.of(ModelPresets.Size.BASE, ModelPresets.Architecture.MOE, VOCABULARY);

  static void requireTokens(BenchKind kind, int tokens) {
    if (tokens % CONFIG.context() != 0) {
      throw Require.refusal(
          "%s over %s: expected a multiple of its sequences of %s",
          kind, Count.of(tokens, "token"), CONFIG.context());
    }
  }

  static TrainConfig training(int tokens, DType dtype) {
    return TrainConfig.of(STEPS, tokens / CONFIG.context(), CONFIG.context()).withDType(dtype);
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
    private final LanguageModel model = new LanguageModel(CONFIG);
    private final Trainer trainer;

    Step(int tokens) {
      int length = CONFIG.context();
      training = training(tokens, dtype);
      model.materialize(backend, dtype, true, seed);
      trainer =
          new Trainer(
              backend,
              model,
              new RunConfig(CONFIG, training, seed),
              new RandomTokens(VOCABULARY, length, seed));
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
