package panamoe.harness.train;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import panamoe.harness.ShellWord;
import panamoe.harness.probe.Ceilings;
import panamoe.io.Words;
import panamoe.model.LanguageModel;

/**
 * What the demo prints at its end: at most 20 lines of 80 columns.
 *
 * @param seconds of each part of the call, in order
 * @param ceilings of this machine; null if they were not measured
 */
record DemoSummary(List<DemoModel> models, Map<String, Double> seconds, Ceilings ceilings) {
  @Override
  public String toString() {
    DemoModel teacher = models.getFirst();
    String launcher = ShellWord.launcher();
    String folder = ShellWord.quoted(teacher.folder().path().toString());
    return Words.of(
        "%n%s%n%s%s%n%s%nreport:  %s%nto try:  %s serve %s%n         %s chat %s",
        table(),
        times(),
        ceilings == null ? "" : machine(),
        Words.of(recorded(), launcher),
        teacher.outcome().report(),
        launcher,
        folder,
        launcher,
        folder);
  }

  private String table() {
    StringBuilder table = new StringBuilder();
    table.append(
        Words.of(
            "%-8s %7s %12s %14s %16s %16s%n",
            "", "layers", "parameters", "bits per byte", "trained tokens/s", "written tokens/s"));
    for (DemoModel each : models) {
      try (LanguageModel model = new LanguageModel(each.folder().config())) {
        table.append(
            Words.of(
                "%-8s %7d %,12d %14.4f %,16.0f %,16.0f%n",
                each.name(),
                model.config().layers(),
                model.parameters().count(),
                each.outcome().bitsPerByte(),
                each.trainedPerSecond(),
                each.writtenPerSecond()));
      }
    }
    return table.toString();
  }

  private String times() {
    double all = seconds.values().stream().mapToDouble(Double::doubleValue).sum();
    return seconds.entrySet().stream()
        .map(part -> Words.of("%s %.0f s", part.getKey(), part.getValue()))
        .collect(Collectors.joining(", ", "time:    ", Words.of("; in all %.0f s%n", all)));
  }

  /** What experts bring over a dense model, as it was measured once, in hours. */
  static String recorded() {
    try (InputStream text = DemoSummary.class.getResourceAsStream("experts.txt")) {
      return new String(text.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String machine() {
    return Words.of(
        "ceiling: %,.0f GFLOP/s in bf16, %,.0f in f32, %.0f GB/s read, by %d threads%n",
        ceilings.dotBf16Gflops(),
        ceilings.fmaF32Gflops(),
        ceilings.readGbytesPerS(),
        ceilings.threads());
  }
}
