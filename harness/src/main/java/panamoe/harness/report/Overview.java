package panamoe.harness.report;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.train.TrainingProcess;

/**
 * A run in brief: a title, a sentence, its numbers, and how to reproduce it.
 *
 * @param parameters of the model, in all
 */
record Overview(RunDirectory run, long parameters) {
  String title() {
    ModelConfig model = run.config().model();
    String layers = Count.of(model.layers(), "layer");
    return Words.of("Panamoe: %s, %s, hidden size %d", architecture(model), layers, model.hidden());
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

  /** The run's state unless it is finished, and its result in a sentence, as HTML. */
  String lead(Report.State state) {
    StepRecord last = run.steps().getLast();
    String steps = Words.of("tep %,d of %,d", last.step(), run.config().training().steps());
    String status =
        switch (state) {
          case RUNNING ->
              Words.of(
                  "<p id=\"running\" role=\"status\">Training: s%s at <time datetime=\"%s\">%2$s</time>. "
                      + "This page reloads itself.</p>\n",
                  steps, Instant.now().truncatedTo(ChronoUnit.SECONDS));
          case STOPPED -> "<p role=\"status\">Stopped after s" + steps + ".</p>\n";
          case FINISHED -> "";
        };
    String sentence =
        Words.of(
            "%.3f bits per byte on %s, after %s tokens and %s of training%s.",
            validation().orElse(last.bitsPerByte()),
            validation().isPresent() ? "validation text" : "training text",
            ShortNumber.of(last.tokens()),
            duration(run.trainingSeconds()),
            machine().map(machine -> " on " + machine).orElse(""));
    return status + "<p class=\"lead\">" + Html.escape(sentence) + "</p>\n";
  }

  private Optional<String> machine() {
    return run.history().isEmpty()
        ? Optional.empty()
        : Optional.of(run.history().getLast().machine());
  }

  /** The last validation's bits per byte. */
  private Optional<Double> validation() {
    return run.steps().reversed().stream()
        .map(StepRecord::validationBitsPerByte)
        .filter(bits -> bits != null)
        .findFirst();
  }

  static String duration(double seconds) {
    long all = Math.round(seconds);
    if (all < 60) {
      return Count.of(all, "second");
    }
    if (all < 3600) {
      return Count.of(Math.round(all / 60.0), "minute");
    }
    return Words.of("%,d h %02d min", all / 3600, all % 3600 / 60);
  }

  /** The numbers, as HTML. */
  String tiles() {
    StepRecord last = run.steps().getLast();
    Map<String, String> tiles = new LinkedHashMap<>();
    validation().ifPresent(bits -> tiles.put("validation bits per byte", Words.of("%.3f", bits)));
    tiles.put("training bits per byte", Words.of("%.3f", last.bitsPerByte()));
    tiles.put("steps", Words.of("%,d", last.step()));
    tiles.put("tokens", ShortNumber.of(last.tokens()));
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
    facts.put("Training time", duration(run.trainingSeconds()));
    facts.put("Text", first.text());
    facts.put("Machine", machines(history));
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

  private static String machines(List<TrainingProcess> history) {
    return distinct(
        history,
        process -> {
          String ranks = process.ranks() == 1 ? "" : ", " + Count.of(process.ranks(), "rank");
          return process.machine() + ", " + process.device() + ranks;
        });
  }

  private static String distinct(
      List<TrainingProcess> history, Function<TrainingProcess, String> fact) {
    return history.stream().map(fact).distinct().collect(Collectors.joining("; "));
  }
}
