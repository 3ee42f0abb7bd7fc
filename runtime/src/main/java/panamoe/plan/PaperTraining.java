package panamoe.plan;

import java.util.List;
import java.util.function.ToDoubleFunction;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.plan.Constant.Kind;
import panamoe.tensor.DType;
import panamoe.train.TrainConfig;

/**
 * The DeepSpeed-MoE paper's training throughputs on 128 A100 GPUs (Table 3), and their predictions.
 *
 * @param efficiency its share of the FLOPs is fitted to the dense model
 */
public record PaperTraining(Efficiency efficiency) {
  private static final int GPUS = 128;
  private static final int TOKENS = 2048;

  /**
   * A published throughput. Batch and recomputation come from the authors' scripts
   * (Megatron-DeepSpeed, examples_deepspeed/MoE).
   *
   * @param batch sequences of a step
   * @param samples sequences/s
   */
  public record Point(String model, int batch, double samples) {
    private StepTime time(Efficiency efficiency) {
      TrainConfig training =
          TrainConfig.of(1, batch, TOKENS).withDType(DType.BFLOAT16).withRecompute(true);
      StepModel times = new StepModel(PaperPoint.NODE, efficiency, Optimizations.PAPER);
      try (LanguageModel described = new LanguageModel(NamedModels.of(model))) {
        return times.of(described, training, Topology.of(GPUS));
      }
    }
  }

  public record Prediction(Point point, StepTime time) {
    public double samples() {
      return point.batch / time.seconds();
    }

    public double error() {
      return samples() / point.samples - 1;
    }
  }

  /** The point that the share of the FLOPs is fitted to. */
  public static final Point FITTED = new Point("6.7B", 1024, 70);

  private static final Point EXPERTS = new Point("1.3B+MoE-128", 512, 372);

  /**
   * Fits the share of the FLOPs.
   *
   * @param latencies efficiency whose other shares are kept
   */
  public static PaperTraining fitted(Efficiency latencies) {
    double[] share =
        LeastSquares.fit(
            tried ->
                new double[] {
                  FITTED.batch
                          / FITTED.time(efficiency(latencies, tried[0])).seconds()
                          / FITTED.samples
                      - 1
                },
            new double[] {0.3});
    return new PaperTraining(efficiency(latencies, share[0]));
  }

  private static Efficiency efficiency(Efficiency latencies, double flops) {
    Constant share =
        Kind.FITTED.of(
            flops,
            "of the peak",
            "the paper's 70 sequences/s of its dense 6.7B model on 128 A100 (Table 3)");
    return new Efficiency(
        null, null, null, null, null, latencies.bandwidth(), share, latencies.memory());
  }

  public List<Prediction> predictions() {
    return List.of(
        new Prediction(FITTED, FITTED.time(efficiency)),
        new Prediction(EXPERTS, EXPERTS.time(efficiency)));
  }

  /** The training speedup of the MoE model over the dense model. */
  public double faster(ToDoubleFunction<Prediction> samples) {
    List<Prediction> both = predictions();
    return samples.applyAsDouble(both.get(1)) / samples.applyAsDouble(both.get(0));
  }
}
