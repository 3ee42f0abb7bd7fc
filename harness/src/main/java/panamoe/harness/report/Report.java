package panamoe.harness.report;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import panamoe.harness.report.Plots.Plot;
import panamoe.harness.report.StepRecord.LayerRecord;
import panamoe.harness.report.Table.Column;
import panamoe.io.SafeFolder;
import panamoe.model.LanguageModel;
import panamoe.train.RunFolder;

/** Writes {@code report.html} and the plots of a training run. */
public final class Report {
  /** How far the run has come. */
  enum State {
    RUNNING,
    STOPPED,
    FINISHED
  }

  /** A layer's loads over some steps. */
  private static final List<Column<List<LayerRecord>>> LOADS =
      List.of(
          Column.ofWords("layer", steps -> "layer " + steps.getLast().layer()),
          Column.of("experts", "%,d", steps -> steps.getLast().experts()),
          mean("mean load", "%,.1f", layer -> (double) layer.routes() / layer.experts()),
          mean("largest load", "%,.1f", LayerRecord::maxLoad),
          mean("dropped", "%.2f %%", layer -> 100 * layer.dropRate()),
          mean("dead experts", "%,.1f", LayerRecord::deadExperts),
          mean("router entropy (nats)", "%.3f", LayerRecord::routerEntropy));

  private final RunDirectory run;
  private final State state;
  private final StringBuilder html = new StringBuilder();
  private final List<Plot> plots = new ArrayList<>();

  private Report(RunDirectory run, State state) {
    this.run = run;
    this.state = state;
  }

  /**
   * Writes the report of a finished run: {@code plots/NAME.svg}, then {@code report.html}, which is
   * self-contained. Reads {@code config.json}, {@code metrics.jsonl} and, where they exist, {@code
   * routing.json}, {@code samples.json}, {@code reading.json} and {@code history.json}.
   *
   * @return the report's path
   * @throws IOException if a file is missing or cannot be written
   * @throws IllegalArgumentException if a file's content is invalid
   */
  public static Path write(Path runDirectory) throws IOException {
    return write(runDirectory, State.FINISHED);
  }

  /** Only a finished run has {@code plots}, by which {@code train --resume} knows it. */
  static Path write(Path runDirectory, State state) throws IOException {
    Report report = new Report(RunDirectory.read(runDirectory), state);
    String page = report.page();
    SafeFolder files = new SafeFolder(runDirectory);
    if (state == State.FINISHED) {
      files.makeFolder(RunFolder.PLOTS);
      for (Plot plot : report.plots) {
        byte[] drawing = plot.svg().standalone().getBytes(StandardCharsets.UTF_8);
        files.replace(RunFolder.PLOTS + "/" + Html.id(plot.title()) + ".svg", drawing);
      }
    }
    return files.replace(RunFolder.REPORT, page.getBytes(StandardCharsets.UTF_8));
  }

  private String page() {
    Overview overview = new Overview(run, parameters());
    html.append(overview.status(state)).append(overview.tiles());
    Plots draw = new Plots(run);
    section("Learning", draw.learning());
    section("Preferences", draw.preferences());
    section("Distillation", draw.distillation());
    if (!run.steps().getLast().layers().isEmpty()) {
      experts(draw);
    }
    AdaptedParts adapted = AdaptedParts.of(run);
    if (adapted != null) {
      html.append(Html.heading("Adapters"));
      adapted.toString().lines().map(Html::paragraph).forEach(html::append);
    }
    html.append(RoutedTexts.of(run));
    html.append(Html.heading("Configuration"));
    html.append(
        Html.details("config.json", "<pre>" + Html.escape(run.config().toJson()) + "</pre>"));
    html.append(overview.reproduction());
    return Html.page(overview.title(), html);
  }

  private void experts(Plots draw) {
    section("Experts", draw.balance());
    List<LayerRecord> all = run.steps().getLast().layers();
    html.append(Html.layerChoice(all, LayerRecord::layer, LayerRecord::experts));
    List<Plot> maps = new ArrayList<>(draw.loads());
    run.routing().ifPresent(routing -> maps.addAll(draw.languages(routing)));
    figures(maps);
    List<StepRecord> tail = run.steps().subList(run.steps().size() * 9 / 10, run.steps().size());
    String last =
        tail.size() == 1 ? "Of the last step" : "Means over the last " + tail.size() + " steps";
    List<List<LayerRecord>> layers =
        IntStream.range(0, all.size())
            .mapToObj(index -> tail.stream().map(step -> step.layers().get(index)).toList())
            .toList();
    html.append(
        Html.details(
            "As a table",
            Html.paragraph(last + "; loads are tokens of one step.")
                + new Table<>(LOADS, layers).html()));
  }

  private long parameters() {
    try (LanguageModel model = new LanguageModel(run.config().model())) {
      return model.parameters().count();
    }
  }

  private void section(String title, List<Plot> sectionPlots) {
    if (!sectionPlots.isEmpty()) {
      html.append(Html.heading(title));
      figures(sectionPlots);
    }
  }

  private void figures(List<Plot> some) {
    html.append(
        Html.figures(
            some.stream()
                .map(plot -> Html.figure(plot.svg(), plot.caption(), plot.layer()))
                .toArray(String[]::new)));
    plots.addAll(some);
  }

  /** A column of means over the steps of a layer. */
  private static Column<List<LayerRecord>> mean(
      String heading, String format, ToDoubleFunction<LayerRecord> value) {
    return Column.of(
        heading, format, steps -> steps.stream().mapToDouble(value).average().orElseThrow());
  }
}
