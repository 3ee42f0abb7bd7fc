package panamoe.harness.report;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import panamoe.harness.report.Routing.Preference;
import panamoe.harness.report.Routing.RoutedLayer;
import panamoe.harness.report.StepRecord.LayerRecord;
import panamoe.harness.report.Table.Column;
import panamoe.io.SafeFolder;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.param.Parameter;
import panamoe.train.RunFolder;

/** Writes {@code report.html} and the plots of a training run. */
public final class Report {
  private static final int PREFERENCES_IN_WORDS = 4;

  /**
   * The report mentions a language that is this many times more frequent at an expert than in the
   * text.
   */
  private static final double REMARKABLE_LIFT = 1.5;

  /** The report's name in a run's folder. */
  public static final String FILE = RunFolder.REPORT;

  /** The folder of the plots in a run's folder. */
  public static final String PLOTS = RunFolder.PLOTS;

  /** A layer's loads over some steps. */
  private static final List<Column<List<LayerRecord>>> LOADS =
      List.of(
          Column.ofWords("layer", steps -> "layer " + steps.getLast().layer()),
          Column.of("experts", "%,d", steps -> steps.getLast().experts()),
          mean("median load", "%,.1f", LayerRecord::loadP50),
          mean("95 % load", "%,.1f", LayerRecord::loadP95),
          mean("largest load", "%,.1f", LayerRecord::loadMax),
          mean("dropped", "%.2f %%", layer -> 100 * layer.dropRate()),
          mean("dead experts", "%,.1f", LayerRecord::deadExperts),
          mean("router entropy (nats)", "%.3f", LayerRecord::routerEntropy));

  private final RunDirectory run;
  private final StringBuilder html = new StringBuilder();
  private final List<Plot> plots = new ArrayList<>();

  private Report(RunDirectory run) {
    this.run = run;
  }

  /**
   * Writes {@code report.html}, which is self-contained, and {@code plots/NAME.svg} into a run's
   * folder. Reads {@code config.json}, {@code metrics.jsonl} and, where they exist, {@code
   * routing.json}, {@code samples.json}, {@code reading.json} and {@code history.json}.
   *
   * @return the report's path
   * @throws IOException if a file is missing or cannot be written
   * @throws IllegalArgumentException if a file's content is invalid
   */
  public static Path write(Path runDirectory) throws IOException {
    Report report = new Report(RunDirectory.read(runDirectory));
    String page = report.page();
    SafeFolder files = new SafeFolder(runDirectory);
    files.makeFolder(PLOTS);
    for (Plot plot : report.plots) {
      String drawing = plot.svg().standalone();
      files.replace(PLOTS + "/" + plot.name() + ".svg", drawing.getBytes(StandardCharsets.UTF_8));
    }
    return files.replace(FILE, page.getBytes(StandardCharsets.UTF_8));
  }

  private String page() {
    Map<Parameter.Part, Long> parameters = parameters();
    Overview overview =
        new Overview(run, parameters.values().stream().mapToLong(Long::longValue).sum());
    html.append(overview.lead()).append(overview.tiles()).append(RoutedTexts.of(run));
    section("Learning", Plots.curves(run));
    List<Plot> distillation = Plots.distillation(run);
    if (!distillation.isEmpty()) {
      section("Distillation", distillation);
    }
    loads();
    run.routing().ifPresent(this::languages);
    configuration(parameters);
    html.append(overview.reproduction());
    return Html.page(overview.title(), html);
  }

  private void loads() {
    if (run.steps().getLast().layers().isEmpty()) {
      return;
    }
    section("Experts", Plots.loads(run));
    List<StepRecord> tail = run.steps().subList(run.steps().size() * 9 / 10, run.steps().size());
    String last =
        tail.size() == 1 ? "Of the last step" : "Means over the last " + tail.size() + " steps";
    List<List<LayerRecord>> layers =
        IntStream.range(0, tail.getLast().layers().size())
            .mapToObj(index -> tail.stream().map(step -> step.layers().get(index)).toList())
            .toList();
    html.append(
        Html.details(
            "As a table",
            Html.paragraph(last + "; loads are tokens of one step.")
                + new Table<>(LOADS, layers).html()));
  }

  private void languages(Routing routing) {
    section("Languages", Plots.languages(routing));
    html.append("<ul>\n");
    for (RoutedLayer layer : routing.layers()) {
      List<String> sentences =
          routing.preferences(layer).stream()
              .filter(preference -> preference.lift() >= REMARKABLE_LIFT)
              .limit(PREFERENCES_IN_WORDS)
              .map(preference -> inWords(layer, preference))
              .toList();
      if (sentences.isEmpty()) {
        sentences = List.of(Words.of("Layer %d: no expert prefers a language.", layer.layer()));
      }
      sentences.forEach(
          sentence -> html.append("<li>").append(Html.escape(sentence)).append("</li>\n"));
    }
    html.append("</ul>\n");
  }

  private static String inWords(RoutedLayer layer, Preference preference) {
    String language = Locale.of(preference.language()).getDisplayLanguage(Locale.ENGLISH);
    return Words.of(
        "Layer %d, expert %d: %s of its tokens are %s, %s times that language's share of the text.",
        layer.layer(),
        preference.expert(),
        number(100 * preference.share(), 0) + " %",
        language,
        number(preference.lift(), 1));
  }

  private void configuration(Map<Parameter.Part, Long> parameters) {
    html.append(Html.heading("What was trained"));
    long total = parameters.values().stream().mapToLong(Long::longValue).sum();
    html.append(
        Html.details(
            "Parameters",
            new Table<>(
                    List.of(
                        Column.<Map.Entry<Parameter.Part, Long>>ofWords(
                            "part", part -> part.getKey().name().toLowerCase(Locale.ROOT)),
                        Column.of("parameters", "%,d", Map.Entry::getValue),
                        Column.of("share", "%.1f %%", part -> 100.0 * part.getValue() / total)),
                    List.copyOf(parameters.entrySet()))
                .html()));
    html.append(
        Html.details("config.json", "<pre>" + Html.escape(run.config().toJson()) + "</pre>"));
  }

  private Map<Parameter.Part, Long> parameters() {
    try (LanguageModel model = new LanguageModel(run.config().model())) {
      return model.parameters().countByPart();
    }
  }

  private void section(String title, List<Plot> sectionPlots) {
    html.append(Html.heading(title));
    html.append(
        Html.figures(
            sectionPlots.stream()
                .map(plot -> Html.figure(plot.svg(), plot.caption()))
                .toArray(String[]::new)));
    plots.addAll(sectionPlots);
  }

  /** A column of means over the steps of a layer. */
  private static Column<List<LayerRecord>> mean(
      String heading, String format, ToDoubleFunction<LayerRecord> value) {
    return Column.of(
        heading, format, steps -> steps.stream().mapToDouble(value).average().orElseThrow());
  }

  static String number(double value, int decimals) {
    return Words.of("%,." + decimals + "f", value);
  }
}
