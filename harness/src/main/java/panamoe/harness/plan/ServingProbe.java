package panamoe.harness.plan;

import java.util.Arrays;
import java.util.stream.DoubleStream;
import panamoe.backend.Backend;
import panamoe.engine.schedule.Engine;
import panamoe.harness.probe.LetterTokenizer;
import panamoe.harness.probe.TimedGeneration;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.plan.Cluster;
import panamoe.plan.Efficiency;
import panamoe.plan.Node;
import panamoe.plan.Optimizations;
import panamoe.plan.StepModel;
import panamoe.plan.StepTime;

/**
 * Prefill or decode steps of a model with random weights over ranks. Collective.
 *
 * @param work of a step, with the ranks' topology
 */
record ServingProbe(Backend backend, LanguageModel model, TimedGeneration texts, Work work)
    implements Probe {
  static final int SEED = 1; // of weights and tokens
  private static final double SECONDS = 0.4;

  /** Leaves out the first fifth of each sequence; 0 on ranks other than 0. */
  @Override
  public double seconds() throws InterruptedException {
    if (model.head().matrix().value() == null) {
      model.materialize(backend, work.dtype(), false, SEED);
      model.pack(backend, work.dtype());
    }
    DoubleStream.Builder steps = DoubleStream.builder();
    Engine.onRanks(
        backend,
        model,
        new LetterTokenizer(model.config().vocabulary()),
        texts.config(),
        engine -> {
          long end = System.nanoTime() + (long) (SECONDS * 1e9);
          do {
            double[] all = texts.write(engine);
            Arrays.stream(all, all.length / 5, all.length).forEach(steps);
          } while (System.nanoTime() < end);
        });
    double[] counted = steps.build().toArray();
    return counted.length == 0 ? 0 : Probe.median(counted) / 1e3;
  }

  @Override
  public StepTime predicted(Node node, Efficiency efficiency) {
    return new StepModel(node, efficiency, Optimizations.PANAMOE).of(model, work);
  }

  @Override
  public StepTime predicted(Cluster cluster) {
    return predicted(cluster.node(), cluster.efficiency());
  }
}
