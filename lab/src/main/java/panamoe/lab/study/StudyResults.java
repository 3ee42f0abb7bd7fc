package panamoe.lab.study;

import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import panamoe.harness.report.LineChart;
import panamoe.harness.report.LineChart.Curve;
import panamoe.harness.report.LineChart.Form;
import panamoe.io.Words;
import panamoe.lab.study.RunFigures.Evaluation;
import panamoe.lab.study.RunFigures.Routing;

/** Figures of finished runs, by variant. */
record StudyResults(Function<StudyRun, RunFigures> figures) {
  /** Curves start at this part of a run, because before it all models are similar. */
  private static final double SHOWN_FROM = 0.2;

  /** The last validation in bits per byte. */
  SeedSample bits(Variant variant) {
    return SeedSample.of(
        variant.runs().stream()
            .mapToDouble(run -> evaluations(run).getLast().bitsPerByte())
            .toArray());
  }

  /** Validation over millions of tokens. */
  LineChart bitsOverTokens(List<Variant> variants) {
    return bitsOver("million tokens", variants, _ -> 1e-6);
  }

  /**
   * Validation over training cost.
   *
   * @param perToken x per token of a variant
   */
  LineChart bitsOver(String xTitle, List<Variant> variants, ToDoubleFunction<Variant> perToken) {
    List<Curve> curves =
        variants.stream()
            .map(
                variant -> {
                  Curve all = bitsByToken(variant);
                  double[] x = all.x();
                  int from = (int) Math.floor(SHOWN_FROM * x.length);
                  double scale = perToken.applyAsDouble(variant);
                  return new Curve(
                      variant.name(),
                      Arrays.stream(x).skip(from).map(tokens -> tokens * scale).toArray(),
                      Arrays.copyOfRange(all.y(), from, x.length),
                      Form.POINTS);
                })
            .toList();
    return chart("Validation bits per byte", xTitle, curves);
  }

  /** A chart whose y axis starts near the least value. */
  static LineChart chart(String title, String xTitle, List<Curve> curves) {
    double least =
        curves.stream().flatMapToDouble(curve -> Arrays.stream(curve.y())).min().orElseThrow();
    return new LineChart(title, xTitle, curves, least, 0);
  }

  /** The mean validation of the seeds by trained tokens. */
  private Curve bitsByToken(Variant variant) {
    List<List<Evaluation>> seeds = variant.runs().stream().map(this::evaluations).toList();
    int points = seeds.getFirst().size();
    double[] x = new double[points];
    double[] y = new double[points];
    for (int i = 0; i < points; i++) {
      int point = i;
      x[i] = seeds.getFirst().get(i).tokens();
      y[i] =
          seeds.stream().mapToDouble(seed -> seed.get(point).bitsPerByte()).average().orElseThrow();
    }
    return new Curve(variant.name(), x, y, Form.POINTS);
  }

  /** Tokens after which the seeds' mean validation reaches {@code bits}; infinite if never. */
  double tokensTo(Variant variant, double bits) {
    Curve curve = bitsByToken(variant);
    double[] x = curve.x();
    double[] y = curve.y();
    for (int i = 0; i < y.length; i++) {
      if (y[i] <= bits) {
        return i == 0 ? x[0] : x[i - 1] + (x[i] - x[i - 1]) * (y[i - 1] - bits) / (y[i - 1] - y[i]);
      }
    }
    return Double.POSITIVE_INFINITY;
  }

  /** The mean of a value over the MoE layers, the last tenth of a run, and the seeds. */
  double atTheEnd(Variant variant, ToDoubleFunction<Routing> value) {
    return variant.runs().stream()
        .map(run -> figures.apply(run).routing())
        .mapToDouble(
            parts ->
                parts.subList(parts.size() * 9 / 10, parts.size()).stream()
                    .mapToDouble(value)
                    .average()
                    .orElse(0))
        .average()
        .orElseThrow();
  }

  /** A value of the MoE layers over the tokens of the first seed's run. */
  Curve layerCurve(Variant variant, ToDoubleFunction<Routing> value) {
    List<Routing> parts = figures.apply(variant.first()).routing();
    return new Curve(
        variant.name(),
        parts.stream().mapToDouble(part -> part.tokens() / 1e6).toArray(),
        parts.stream().mapToDouble(value).toArray(),
        Form.LINE);
  }

  private List<Evaluation> evaluations(StudyRun run) {
    return figures.apply(run).evaluations();
  }

  /** A table of variants with their sizes and losses. */
  StudyTable table(
      List<Variant> variants, List<String> moreHeads, Function<Variant, List<String>> more) {
    List<String> head = List.of("model", "parameters", "training MFLOPs a token", "bits per byte");
    return new StudyTable(
        Stream.concat(head.stream(), moreHeads.stream()).toList(),
        variants.stream()
            .map(
                variant ->
                    Stream.concat(
                            Stream.of(
                                variant.name(),
                                Words.of("%,d", variant.parameters()),
                                Words.of("%.2f", variant.first().flopsPerToken() / 1e6),
                                bits(variant).toString()),
                            more.apply(variant).stream())
                        .toList())
            .toList());
  }
}
