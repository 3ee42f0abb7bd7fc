package panamoe.plan;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.config.ModelConfig;
import panamoe.plan.Constant.Kind;
import panamoe.tensor.DType;

/**
 * The DeepSpeed-MoE paper's latencies and the cost model's predictions of them.
 *
 * @param efficiency whose constants are fitted to {@link PaperPoint#FITTED}
 */
public record Paper(Efficiency efficiency) {
  // seconds per layer and per expert
  private static final double[] START = {3e-4, 3e-5};

  // A fit gives 0.92 to 1.17: the points do not separate it from the time per expert.
  private static final Constant BANDWIDTH =
      Kind.ASSUMED.of(0.9, "of the peak", "about the rate of copies within an A100");

  // No published decode time depends on it.
  private static final Constant FLOPS =
      Kind.ASSUMED.of(
          0.5,
          "of the peak",
          "large products reach 0.4 to 0.7; a step with few tokens waits for memory instead");

  /**
   * @param without step times without each optimization that the point uses
   */
  public record Prediction(PaperPoint point, StepTime time, List<Without> without) {
    public double error() {
      return time.seconds() / point.seconds() - 1;
    }
  }

  public record Without(String optimization, double seconds) {}

  /** The smallest number of GPUs that a model fits on. */
  public record Fewest(String model, int published, int predicted) {}

  public static Paper fitted() {
    return new Paper(efficiency(LeastSquares.fit(Paper::errors, START)));
  }

  /** Relative errors of the points that constants are fitted to. */
  private static double[] errors(double[] constants) {
    Efficiency tried = efficiency(constants);
    return PaperPoint.FITTED.stream()
        .mapToDouble(
            point -> point.predict(tried, Optimizations.PAPER).seconds() / point.seconds() - 1)
        .toArray();
  }

  private static Efficiency efficiency(double[] constants) {
    String source =
        "least squares on "
            + String.join(", ", PaperPoint.FITTED.stream().map(PaperPoint::name).toList());
    return Efficiency.of(
        Map.of(
            "layer",
            new Constant(constants[0], "s", Kind.FITTED, source),
            "expert",
            new Constant(constants[1], "s", Kind.FITTED, source),
            "bandwidth_share",
            BANDWIDTH,
            "flops_share",
            FLOPS));
  }

  private static Prediction predict(PaperPoint point, Efficiency efficiency) {
    return new Prediction(
        point, point.predict(efficiency, Optimizations.PAPER), point.ablation(efficiency));
  }

  public List<Prediction> predictions() {
    return PaperPoint.ALL.stream().map(point -> predict(point, efficiency)).toList();
  }

  /** The prediction of the student on its teacher's number of GPUs. */
  public Prediction student() {
    return predict(PaperPoint.STUDENT, efficiency);
  }

  public PaperClaims claims() {
    return new PaperClaims(this);
  }

  /** Of a model and of its student. */
  public List<Fewest> fewestGpus() {
    return List.of(fewest("8B+MoE-128", 32), fewest("8B+PR-MoE-64/128+MoS", 16));
  }

  private Fewest fewest(String model, int published) {
    ModelConfig config = NamedModels.of(model);
    StepModel times = new StepModel(PaperPoint.NODE, efficiency, Optimizations.PAPER);
    Cluster node = new Cluster(PaperPoint.NODE, PaperPoint.NODE.devices());
    ServingObjective serving =
        new ServingObjective(config, times, DType.BFLOAT16, PaperPoint.BATCH, config.context());
    int predicted = new PlanSearch(model, node, serving).fewestDevices().orElseThrow();
    return new Fewest(model, published, predicted);
  }

  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>(efficiency.constants());
    all.putAll(PaperPoint.NODE.constants());
    all.put(
        "batch",
        Kind.PUBLISHED.of(
            PaperPoint.BATCH,
            "sequences",
            "throughput times latency of a tensor group, in every chart of the paper"));
    all.put(
        "cached",
        Kind.ASSUMED.of(
            PaperPoint.CACHED,
            "tokens",
            "per sequence; the paper does not say, and the effect is small"));
    return all;
  }
}
