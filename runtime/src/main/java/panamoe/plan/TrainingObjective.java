package panamoe.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import panamoe.comm.exchange.Strategy;
import panamoe.config.ModelConfig;
import panamoe.io.MemoryParts;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import panamoe.train.TrainConfig.Batch;

/**
 * Plans of training a model: all data, expert, tensor and slice degrees that its batch allows, with
 * and without recomputation. Each plan has the fewest micro-batches with which it fits: more would
 * only add messages and drop more routes.
 *
 * @param run settings; its micro-batches and recomputation are ignored
 * @param checkpoints for the cost of failures; null if not requested
 */
public record TrainingObjective(RunConfig run, StepModel times, Checkpoints checkpoints)
    implements PlanObjective {
  /**
   * How often a run saves, and how often devices fail.
   *
   * @param every steps between checkpoints; 0 takes the best interval
   */
  public record Checkpoints(FailureCost faults, int every) {
    public Checkpoints {
      Require.that(every >= 0, "checkpoints are %s steps apart, expected 1 or more", every);
    }

    private FailureCost.Loss loss(Cluster part, long parameters, double step) {
      return every == 0 ? faults.best(part, parameters) : faults.at(every * step, part, parameters);
    }
  }

  public TrainingObjective {
    new ParallelDegrees(run.model());
  }

  @Override
  public ModelConfig config() {
    return run.model();
  }

  @Override
  public DType dtype() {
    return run.training().dtype();
  }

  @Override
  public long batch() {
    return run.training().batch().sequences();
  }

  @Override
  public int context() {
    return run.training().batch().length();
  }

  @Override
  public List<Plan> plans(GpuMemories memories, Cluster part) {
    List<Plan> plans = new ArrayList<>();
    for (Topology topology : divided(part)) {
      // Weights and moments do not depend on the number of micro-batches.
      MemoryForecast state = MemoryForecast.of(memories.model(), training(1, false), topology);
      fitting(memories.model(), part, topology, state, false).ifPresent(plans::add);
      fitting(memories.model(), part, topology, state, true).ifPresent(plans::add);
    }
    return plans;
  }

  private Optional<Plan> fitting(
      LanguageModel model,
      Cluster part,
      Topology topology,
      MemoryForecast state,
      boolean recompute) {
    for (int micro : microBatches(topology)) {
      ParallelDegrees.requireNoInterrupt();
      TrainConfig training = training(micro, recompute);
      MemoryForecast memory = state.withActivations(model, training, topology);
      if (memory.total() <= times.room()) {
        StepTime time = times.of(model, training, topology);
        FailureCost.Loss loss =
            checkpoints == null
                ? null
                : checkpoints.loss(part, model.parameters().count(), time.seconds());
        return Optional.of(
            new Plan(
                topology, Strategy.AUTO, training.batch().tokens(), memory, time, training, loss));
      }
    }
    return Optional.empty();
  }

  @Override
  public MemoryParts least(GpuMemories memories, Cluster part) {
    return divided(part).stream()
        .map(
            topology ->
                MemoryForecast.of(
                    memories.model(), training(microBatches(topology).getLast(), true), topology))
        .min(Comparator.comparingLong(MemoryParts::total))
        .orElse(null);
  }

  /** The topologies whose data ranks divide the batch. */
  private List<Topology> divided(Cluster part) {
    return new ParallelDegrees(run.model())
        .topologies(part).stream().filter(topology -> !microBatches(topology).isEmpty()).toList();
  }

  private List<Integer> microBatches(Topology topology) {
    int batch = run.training().batch().sequences();
    return IntStream.rangeClosed(1, batch)
        .filter(micro -> batch % micro == 0 && batch / micro % topology.dataDegree() == 0)
        .boxed()
        .toList();
  }

  private TrainConfig training(int micro, boolean recompute) {
    Batch whole = run.training().batch();
    return run.training()
        .with(new Batch(whole.sequences(), whole.length(), micro))
        .withRecompute(recompute);
  }

  @Override
  public Phrases phrases() {
    String best =
        "Each plan is the fastest on its number of devices, and no plan with fewer devices is as fast.";
    return new Phrases("cannot be trained", "larger", "days", Plan.DAY, "", "step", best);
  }

  @Override
  public String spent(StepTime time) {
    return Words.of(
        "and most of a step, %.4g of %.4g ms, is %s",
        1e3 * time.terms().get(time.largest()), 1e3 * time.seconds(), time.largest().meaning());
  }
}
