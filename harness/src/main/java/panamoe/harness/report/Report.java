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
import panamoe.io.PlainFolder;
import panamoe.model.LanguageModel;
import panamoe.param.Parameter;

/** Writes {@code report.html} and the plots of a training run. */
public final class Report {
  private static final int PREFERENCES_IN_WORDS = 4;

  /**
   * The report mentions a language that is this many times more frequent at an expert than in the
   * text.
   */
  private static final double REMARKABLE_LIFT = 1.5;

  /** The report's name in a run's folder. */
  public static final String FILE = "report.html";

  /** The folder of the plots in a run's folder. */
  public static final String PLOTS = "plots";

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
    PlainFolder files = new PlainFolder(runDirectory);
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
    html.append(overview.lead()).append(overview.tiles()).append(ShownTexts.of(run));
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
    List<List<String>> rows =
        IntStream.range(0, tail.getLast().layers().size())
            .mapToObj(
                index -> loadRow(tail.stream().map(step -> step.layers().get(index)).toList()))
            .toList();
    html.append(
        Html.details(
            "As a table",
            Html.paragraph(last + "; loads are tokens of one step.")
                + Html.table(
                    List.of(
                        "layer",
                        "experts",
                        "median load",
                        "95 % load",
                        "largest load",
                        "dropped",
                        "dead experts",
                        "router entropy (nats)"),
                    rows)));
  }

  private static List<String> loadRow(List<LayerRecord> steps) {
    LayerRecord last = steps.getLast();
    return List.of(
        "layer " + last.layer(),
        number(last.experts(), 0),
        mean(steps, LayerRecord::loadP50, 1),
        mean(steps, LayerRecord::loadP95, 1),
        mean(steps, LayerRecord::loadMax, 1),
        mean(steps, layer -> 100 * layer.dropRate(), 2) + " %",
        mean(steps, LayerRecord::deadExperts, 1),
        mean(steps, LayerRecord::routerEntropy, 3));
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
        sentences =
            List.of(
                String.format(
                    Locale.ROOT, "Layer %d: no expert prefers a language.", layer.layer()));
      }
      sentences.forEach(
          sentence -> html.append("<li>").append(Html.escape(sentence)).append("</li>\n"));
    }
    html.append("</ul>\n");
  }

  private static String inWords(RoutedLayer layer, Preference preference) {
    String language = Locale.of(preference.language()).getDisplayLanguage(Locale.ENGLISH);
    return String.format(
        Locale.ROOT,
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
            Html.table(
                List.of("part", "parameters", "share"),
                parameters.entrySet().stream()
                    .map(
                        part ->
                            List.of(
                                part.getKey().name().toLowerCase(Locale.ROOT),
                                number(part.getValue(), 0),
                                number(100.0 * part.getValue() / total, 1) + " %"))
                    .toList())));
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

  private static String mean(
      List<LayerRecord> steps, ToDoubleFunction<LayerRecord> value, int decimals) {
    return number(steps.stream().mapToDouble(value).average().orElseThrow(), decimals);
  }

  static String number(double value, int decimals) {
    return String.format(Locale.ENGLISH, "%,." + decimals + "f", value);
  }
}
