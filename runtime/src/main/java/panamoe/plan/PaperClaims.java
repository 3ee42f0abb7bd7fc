package panamoe.plan;

import java.util.List;
import java.util.Map;
import panamoe.plan.Paper.Without;

/**
 * What the DeepSpeed-MoE paper claims beside its latencies, by the model: throughput that grows
 * faster than GPUs, 7.3 times over PyTorch, and cheaper than dense models of the same quality.
 */
public final class PaperClaims {
  private final Paper paper;
  private final PyTorchMoe baseline;

  PaperClaims(Paper paper) {
    this.paper = paper;
    this.baseline = PyTorchMoe.fitted(paper.efficiency());
  }

  /** Numbers that the paper's latencies do not stand on, by name. */
  public Map<String, Constant> constants() {
    return baseline.constants();
  }

  /**
   * @param tokens of a GPU in a second, as the paper's latency has it and as the model has it
   */
  public record Throughput(int gpus, double published, double predicted) {}

  /** Of 1.3B+MoE-128 on 8 to 64 GPUs. */
  public List<Throughput> scaling() {
    return PaperPoint.ALL.stream()
        .limit(4)
        .map(
            point ->
                new Throughput(
                    point.gpus(),
                    PaperPoint.BATCH / point.seconds(),
                    PaperPoint.BATCH
                        / point.predict(paper.efficiency(), Optimizations.PAPER).seconds()))
        .toList();
  }

  /**
   * From PyTorch to the paper's system.
   *
   * @param published s, of PyTorch
   * @param stages the first of PyTorch, each other one with an optimization more
   */
  public record Speedup(PaperPoint point, double published, List<Without> stages) {
    /** How many times as fast the paper's system is, as published. */
    public double publishedTimes() {
      return published / point.seconds();
    }

    /** How many times as fast it is by the model. */
    public double times() {
      return stages.getFirst().seconds() / stages.getLast().seconds();
    }

    /** How many times as fast a stage makes the one before it. */
    public double times(int stage) {
      return stages.get(stage - 1).seconds() / stages.get(stage).seconds();
    }

    /** The part of the published speed-up, as a product of factors, that is {@code times}. */
    public double share(double times) {
      return Math.log(times) / Math.log(publishedTimes());
    }
  }

  /** Of all points. */
  public List<Speedup> speedups() {
    return PyTorchMoe.PUBLISHED_MS.entrySet().stream()
        .map(
            entry ->
                new Speedup(
                    entry.getKey(), entry.getValue() / 1e3, baseline.stages(entry.getKey())))
        .toList();
  }

  /**
   * A dense model in PyTorch beside an MoE model of its quality in the paper's system.
   *
   * @param faster how many times as fast a token is, as published
   * @param cheaper how many times as cheap it is, as published
   * @param denseSeconds of a step
   * @param moeSeconds of a step
   */
  public record Dense(
      String dense,
      int denseGpus,
      PaperPoint moe,
      double faster,
      double cheaper,
      double denseSeconds,
      double moeSeconds) {
    public double predictedFaster() {
      return denseSeconds / moeSeconds;
    }

    /** Both write equally many texts in each tensor group, so that GPUs of it make the price. */
    public double predictedCheaper() {
      return predictedFaster() * denseGpus / moe.tensor();
    }
  }

  /** The two that the paper names. */
  public List<Dense> dense() {
    PaperPoint large = new PaperPoint("35B+PR-MoE-64/128+MoS", 128, 8, Double.NaN, "15");
    return List.of(
        dense("6.7B", 1, PaperPoint.STUDENT, 2.4, 2.4), dense("175B", 16, large, 4.5, 9));
  }

  private Dense dense(String dense, int gpus, PaperPoint moe, double faster, double cheaper) {
    return new Dense(
        dense,
        gpus,
        moe,
        faster,
        cheaper,
        baseline.dense(dense, gpus).seconds(),
        moe.predict(paper.efficiency(), Optimizations.PAPER).seconds());
  }
}
