package panamoe.harness.report;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.harness.report.Routing.Preference;
import panamoe.harness.report.Routing.RoutedLayer;
import panamoe.harness.report.StepRecord.LayerRecord;
import panamoe.io.Count;
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
   * routing.json} and {@code samples.json}.
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
    summary();
    section("Learning", Plots.curves(run));
    List<Plot> distillation = Plots.distillation(run);
    if (!distillation.isEmpty()) {
      section("Distillation", distillation);
    }
    loads();
    run.routing().ifPresent(this::languages);
    samples();
    configuration();
    return Html.page(title(), html);
  }

  private String title() {
    ModelConfig model = run.config().model();
    String layers = Count.of(model.layers(), "layer");
    return String.format(
        Locale.ROOT,
        "Panamoe: %s, %s, hidden size %d",
        architecture(model),
        layers,
        model.hidden());
  }

  private static String architecture(ModelConfig model) {
    if (!model.hasExperts()) {
      return "dense model";
    }
    boolean pyramid =
        model.experts().stream().filter(experts -> experts > 0).distinct().count() > 1;
    boolean residual =
        model.blocks().stream()
            .anyMatch(
                block -> block.feedForward() instanceof MoeConfig moe && moe.residual() != null);
    String kind = pyramid ? residual ? "PR-MoE" : "Pyramid-MoE" : residual ? "Residual-MoE" : "MoE";
    return kind + " model";
  }

  private void summary() {
    StepRecord last = run.steps().getLast();
    Map<String, String> tiles = new LinkedHashMap<>();
    run.steps().stream()
        .filter(step -> step.validationBitsPerByte() != null)
        .reduce((_, later) -> later)
        .ifPresent(
            step -> tiles.put("validation bits per byte", number(step.validationBitsPerByte(), 3)));
    tiles.put("training bits per byte", number(last.bitsPerByte(), 3));
    tiles.put("steps", number(last.step(), 0));
    tiles.put("tokens seen", number(last.tokens(), 0));
    tiles.put(
        "tokens per second",
        number(
            run.steps().stream().mapToDouble(StepRecord::tokensPerS).average().orElseThrow(), 0));
    tiles.put(
        "parameters", number(parameters().values().stream().mapToLong(Long::longValue).sum(), 0));
    html.append("<div class=\"tiles\">\n");
    tiles.forEach(
        (label, value) ->
            html.append("<div><b>")
                .append(Html.escape(value))
                .append("</b><span>")
                .append(Html.escape(label))
                .append("</span></div>\n"));
    html.append("</div>\n");
  }

  private void loads() {
    if (run.steps().getLast().layers().isEmpty()) {
      return;
    }
    section("Experts", Plots.loads(run));
    List<StepRecord> tail = run.steps().subList(run.steps().size() * 9 / 10, run.steps().size());
    String last =
        tail.size() == 1 ? "Of the last step" : "Means over the last " + tail.size() + " steps";
    html.append(Html.paragraph(last + "; loads are tokens of one step."));
    List<List<String>> rows =
        IntStream.range(0, tail.getLast().layers().size())
            .mapToObj(
                index -> loadRow(tail.stream().map(step -> step.layers().get(index)).toList()))
            .toList();
    html.append(
        Html.table(
            List.of(
                "layer",
                "experts",
                "median load",
                "95 % load",
                "largest load",
                "dropped",
                "dead experts",
                "router entropy (nats)"),
            rows));
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

  private void samples() {
    if (run.samples().isEmpty()) {
      return;
    }
    html.append(Html.heading("What it writes"));
    run.samples()
        .forEach(
            sample ->
                html.append("<blockquote><b>")
                    .append(Html.escape(sample.prompt()))
                    .append("</b>")
                    .append(Html.escape(sample.text()))
                    .append("</blockquote>\n"));
  }

  private void configuration() {
    html.append(Html.heading("What was trained"));
    long total = parameters().values().stream().mapToLong(Long::longValue).sum();
    html.append(
        Html.table(
            List.of("part", "parameters", "share"),
            parameters().entrySet().stream()
                .map(
                    part ->
                        List.of(
                            part.getKey().name().toLowerCase(Locale.ROOT),
                            number(part.getValue(), 0),
                            number(100.0 * part.getValue() / total, 1) + " %"))
                .toList()));
    html.append("<details><summary>config.json</summary><pre>")
        .append(Html.escape(run.config().toJson()))
        .append("</pre></details>\n");
  }

  private Map<Parameter.Part, Long> parameters() {
    try (LanguageModel model = new LanguageModel(run.config().model())) {
      return model.parameters().countByPart();
    }
  }

  private void section(String title, List<Plot> sectionPlots) {
    html.append(Html.heading(title));
    for (Plot plot : sectionPlots) {
      html.append(Html.figure(plot.svg(), plot.caption()));
    }
    plots.addAll(sectionPlots);
  }

  private static String mean(
      List<LayerRecord> steps, ToDoubleFunction<LayerRecord> value, int decimals) {
    return number(steps.stream().mapToDouble(value).average().orElseThrow(), decimals);
  }

  private static String number(double value, int decimals) {
    return String.format(Locale.ENGLISH, "%,." + decimals + "f", value);
  }
}
