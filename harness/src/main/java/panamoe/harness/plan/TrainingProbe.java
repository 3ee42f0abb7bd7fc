package panamoe.harness.plan;

import panamoe.backend.Backend;
import panamoe.harness.probe.RandomTokens;
import panamoe.model.LanguageModel;
import panamoe.plan.Cluster;
import panamoe.plan.Efficiency;
import panamoe.plan.Node;
import panamoe.plan.Optimizations;
import panamoe.plan.StepModel;
import panamoe.plan.StepTime;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import panamoe.train.Trainer;

/** Optimizer steps of a model with random weights over random tokens. */
final class TrainingProbe implements Probe {
  private static final int SEED = 1; // of weights and tokens
  private static final int STEPS = 3;

  private final Backend backend;
  private final LanguageModel model;
  private final TrainConfig training;
  private Trainer trainer; // created in the first step

  /**
   * @param model not shared with other probes, because steps change it
   */
  TrainingProbe(Backend backend, LanguageModel model, TrainConfig training) {
    this.backend = backend;
    this.model = model;
    this.training = training;
  }

  @Override
  public double seconds() {
    if (trainer == null) {
      model.materialize(backend, training.dtype(), true, SEED);
      trainer =
          new Trainer(
              backend,
              model,
              new RunConfig(model.config(), training, SEED),
              new RandomTokens(model.config().vocabulary(), training.batch().length(), SEED));
    }
    double[] seconds = new double[STEPS];
    for (int step = 0; step < STEPS; step++) {
      seconds[step] = trainer.next().seconds();
    }
    return Probe.median(seconds);
  }

  @Override
  public StepTime predicted(Node node, Efficiency efficiency) {
    return new StepModel(node, efficiency, Optimizations.PANAMOE)
        .of(model, training, model.parameters().ranks().topology());
  }

  @Override
  public StepTime predicted(Cluster cluster) {
    return predicted(cluster.node(), cluster.training());
  }
}
