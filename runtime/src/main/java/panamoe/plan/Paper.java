package panamoe.plan;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.config.ModelConfig;
import panamoe.plan.Constant.Kind;
import panamoe.tensor.DType;

/**
 * The DeepSpeed-MoE paper's latencies beside what the model says.
 *
 * @param efficiency whose constants are fitted to {@link PaperPoint#FITTED}
 */
public record Paper(Efficiency efficiency) {
  // s of a layer, s of an expert
  private static final double[] START = {3e-4, 3e-5};

  // Fitted as well it comes out as 0.92 to 1.17: the points do not tell it from an expert's
  // seconds.
  private static final Constant BANDWIDTH =
      Kind.ASSUMED.of(0.9, "of the peak", "about what copies within an A100 reach");

  // No published time of decoding depends on it.
  private static final Constant FLOPS =
      Kind.ASSUMED.of(
          0.5,
          "of the peak",
          "large products reach 0.4 to 0.7; a step with few tokens waits for memory instead");

  /**
   * @param without what leaving out an optimization takes, if the point makes use of it
   */
  public record Prediction(PaperPoint point, StepTime time, List<Without> without) {
    /** Of the prediction, as a share of what is published. */
    public double error() {
      return time.seconds() / point.seconds() - 1;
    }
  }

  /**
   * @param seconds of a step without the optimization
   */
  public record Without(String optimization, double seconds) {}

  /** The fewest GPUs that a model fits on. */
  public record Fewest(String model, int published, int predicted) {}

  /** Fits the constants. */
  public static Paper fitted() {
    return new Paper(efficiency(LeastSquares.fit(Paper::errors, START)));
  }

  /** Of the points that constants are fitted to. */
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

  /** Of all points. */
  public List<Prediction> predictions() {
    return PaperPoint.ALL.stream().map(point -> predict(point, efficiency)).toList();
  }

  /** Of the student on as many GPUs as its teacher. */
  public Prediction student() {
    return predict(PaperPoint.STUDENT, efficiency);
  }

  /** What the paper claims beside latencies. */
  public PaperClaims claims() {
    return new PaperClaims(this);
  }

  /** A model and its student. */
  public List<Fewest> fewestGpus() {
    return List.of(fewest("8B+MoE-128", 32), fewest("8B+PR-MoE-64/128+MoS", 16));
  }

  private Fewest fewest(String model, int published) {
    ModelConfig config = NamedModels.of(model);
    StepModel times = new StepModel(PaperPoint.NODE, efficiency, Optimizations.PAPER);
    Cluster node = new Cluster(PaperPoint.NODE, PaperPoint.NODE.devices());
    Serving serving =
        new Serving(config, times, DType.BFLOAT16, PaperPoint.BATCH, config.context());
    int predicted = new Search(model, node, serving).fewestDevices().orElseThrow();
    return new Fewest(model, published, predicted);
  }

  /** Every number that predictions stand on, by name. */
  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>(efficiency.constants());
    all.putAll(PaperPoint.NODE.constants());
    all.put(
        "batch",
        Kind.PUBLISHED.of(
            PaperPoint.BATCH,
            "sequences",
            "throughput times latency, of a tensor group, in every chart of the paper"));
    all.put(
        "cached",
        Kind.ASSUMED.of(
            PaperPoint.CACHED,
            "tokens",
            "of a sequence; the paper does not say, and this many count little"));
    return all;
  }
}
