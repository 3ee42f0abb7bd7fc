package panamoe.harness.report;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import panamoe.config.ModelConfig;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.train.TrainingProcess;

/**
 * A run in brief: title, status, numbers, and how to reproduce it.
 *
 * @param parameters of the model, in all
 */
record Overview(RunDirectory run, long parameters) {
  String title() {
    ModelConfig model = run.config().model();
    return Words.of(
        "%s: %s model, %s, hidden size %d",
        run.path().toAbsolutePath().normalize().getFileName(),
        model.hasExperts() ? "MoE" : "dense",
        Count.of(model.layers(), "layer"),
        model.hidden());
  }

  /** As HTML; nothing if the run is finished. */
  String status(Report.State state) {
    String steps =
        Words.of(
            "%,d of %,d", run.steps().getLast().step(), run.config().training().schedule().steps());
    return switch (state) {
      case RUNNING ->
          Words.of(
              "<p id=\"running\" role=\"status\">Training: step %s at <time datetime=\"%s\">%2$s</time>. "
                  + "This page reloads itself.</p>\n",
              steps, Instant.now().truncatedTo(ChronoUnit.SECONDS));
      case STOPPED -> "<p role=\"status\">Stopped after step " + steps + ".</p>\n";
      case FINISHED -> "";
    };
  }

  /** The numbers, as HTML. */
  String tiles() {
    StepRecord last = run.steps().getLast();
    Map<String, String> tiles = new LinkedHashMap<>();
    run.steps().stream()
        .map(StepRecord::validationBitsPerByte)
        .filter(bits -> bits != null)
        .forEach(bits -> tiles.put("validation bits per byte", Words.of("%.3f", bits)));
    if (run.config().training().checkpoints().patience() != null) {
      boolean pairs = run.config().preference() != null;
      run.steps().stream()
          .filter(step -> step.validationBitsPerByte() != null)
          .min(
              Comparator.comparing(
                  pairs ? StepRecord::validationLoss : StepRecord::validationBitsPerByte))
          .ifPresent(best -> tiles.put("best step", Words.of("%,d", best.step())));
    }
    tiles.put("training bits per byte", Words.of("%.3f", last.bitsPerByte()));
    tiles.put("steps", Words.of("%,d", last.step()));
    tiles.put("tokens", ShortNumber.of(last.tokens()));
    long seconds = Math.round(run.trainingSeconds());
    tiles.put(
        "training time", Words.of("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60));
    tiles.put(
        "tokens per second",
        ShortNumber.of(
            run.steps().stream().mapToDouble(StepRecord::tokensPerS).average().orElseThrow()));
    tiles.put("parameters", ShortNumber.of(parameters));
    return list("tiles", "<div><dt>%s</dt><dd>%s</dd></div>\n", tiles);
  }

  /** How to train it again, as HTML; nothing without {@code history.json}. */
  String reproduction() {
    List<TrainingProcess> history = run.history();
    if (history.isEmpty()) {
      return "";
    }
    TrainingProcess first = history.getFirst();
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("Started", first.date());
    facts.put("Text", first.text());
    facts.put("Machine", distinct(history, Overview::machine));
    facts.put("Panamoe", distinct(history, TrainingProcess::version));
    return Html.heading("Reproduce")
        + list("facts", "<dt>%s</dt><dd>%s</dd>\n", facts)
        + Html.commands(
            history.stream().map(TrainingProcess::command).collect(Collectors.joining("\n")))
        + Html.paragraph(
            "The same commit, settings, text and seed give the same bits, with any number of threads.");
  }

  /** Terms and their values, as HTML. */
  private static String list(String style, String form, Map<String, String> entries) {
    return entries.entrySet().stream()
        .map(entry -> Words.of(form, Html.escape(entry.getKey()), Html.escape(entry.getValue())))
        .collect(Collectors.joining("", "<dl class=\"" + style + "\">\n", "</dl>\n"));
  }

  private static String machine(TrainingProcess process) {
    String ranks = process.ranks() == 1 ? "" : ", " + Count.of(process.ranks(), "rank");
    return process.machine() + ", " + process.device() + ranks;
  }

  private static String distinct(
      List<TrainingProcess> history, Function<TrainingProcess, String> fact) {
    return history.stream().map(fact).distinct().collect(Collectors.joining("; "));
  }
}
