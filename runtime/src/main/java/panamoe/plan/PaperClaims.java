package panamoe.plan;

import java.util.List;
import java.util.Map;
import panamoe.plan.Paper.Without;

/**
 * The cost model's predictions of three claims of the DeepSpeed-MoE paper: throughput grows faster
 * than the number of GPUs, the system is 7.3 times as fast as PyTorch, and MoE is cheaper than
 * dense models of equal quality.
 */
public final class PaperClaims {
  private final Paper paper;
  private final PyTorchMoe baseline;

  PaperClaims(Paper paper) {
    this.paper = paper;
    this.baseline = PyTorchMoe.fitted(paper.efficiency());
  }

  public Map<String, Constant> constants() {
    return baseline.constants();
  }

  /**
   * @param published tokens/s per GPU from the paper's latency
   * @param predicted tokens/s per GPU from the cost model
   */
  public record Throughput(int gpus, double published, double predicted) {}

  /** Throughput of 1.3B+MoE-128 on 8 to 64 GPUs. */
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
   * The speedup from PyTorch to the paper's system.
   *
   * @param published PyTorch's time in seconds
   * @param stages PyTorch first; each later one adds an optimization
   */
  public record Speedup(PaperPoint point, double published, List<Without> stages) {
    public double publishedTimes() {
      return published / point.seconds();
    }

    public double times() {
      return stages.getFirst().seconds() / stages.getLast().seconds();
    }

    /** The speedup of a stage over the one before it. */
    public double times(int stage) {
      return stages.get(stage - 1).seconds() / stages.get(stage).seconds();
    }

    /** The part of the published speedup that the factor {@code times} explains, on a log scale. */
    public double share(double times) {
      return Math.log(times) / Math.log(publishedTimes());
    }
  }

  public List<Speedup> speedups() {
    return PyTorchMoe.PUBLISHED_MS.entrySet().stream()
        .map(
            entry ->
                new Speedup(
                    entry.getKey(), entry.getValue() / 1e3, baseline.stages(entry.getKey())))
        .toList();
  }

  /**
   * A dense model in PyTorch against an MoE model of equal quality in the paper's system.
   *
   * @param faster published ratio of latencies
   * @param cheaper published ratio of costs
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

    /** Each tensor group decodes equally many sequences, so cost is proportional to its GPUs. */
    public double predictedCheaper() {
      return predictedFaster() * denseGpus / moe.tensor();
    }
  }

  /** The two comparisons of the paper. */
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
