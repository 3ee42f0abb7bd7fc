package panamoe.harness.report;

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
 * What a run came to: a title, a sentence, and its numbers.
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

  /** One sentence, as HTML. */
  String lead() {
    StepRecord last = run.steps().getLast();
    String sentence =
        Words.of(
            "In %s%s, this %s of %s parameters has read %s and needs %.3f bits for a byte of %s.",
            duration(run.trainingSeconds()),
            machine().map(machine -> " (" + machine + ")").orElse(""),
            architecture(run.config().model()),
            ShortNumber.of(parameters),
            Count.of(last.tokens(), "token"),
            validation().orElse(last.bitsPerByte()),
            validation().isPresent() ? "text that it has not seen" : "them");
    return "<p class=\"lead\">" + Html.escape(sentence) + "</p>\n";
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
    validation().ifPresent(bits -> tiles.put("validation bits per byte", Report.number(bits, 3)));
    tiles.put("training bits per byte", Report.number(last.bitsPerByte(), 3));
    tiles.put("steps", Report.number(last.step(), 0));
    tiles.put("tokens seen", ShortNumber.of(last.tokens()));
    tiles.put(
        "tokens per second",
        ShortNumber.of(
            Math.round(
                run.steps().stream().mapToDouble(StepRecord::tokensPerS).average().orElseThrow())));
    tiles.put("parameters", ShortNumber.of(parameters));
    return list("tiles", "<div><dt>%s</dt><dd>%s</dd></div>\n", tiles);
  }

  /** How to train it again, as HTML; nothing if the run does not say how it was trained. */
  String reproduction() {
    List<TrainingProcess> history = run.history();
    if (history.isEmpty()) {
      return "";
    }
    TrainingProcess first = history.getFirst();
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put("Begun", first.date());
    facts.put("Duration of all steps", duration(run.trainingSeconds()));
    facts.put("Text", first.text());
    facts.put("Machine", machines(history));
    facts.put("Panamoe", distinct(history, TrainingProcess::version));
    return Html.heading("How to reproduce it")
        + list("facts", "<dt>%s</dt><dd>%s</dd>\n", facts)
        + Html.commands(
            history.stream().map(TrainingProcess::command).collect(Collectors.joining("\n")))
        + Html.paragraph(
            "What a run computes depends on the commit, the settings, the text and the seed, not on the number of"
                + " threads.");
  }

  /** Names with what they mean, as HTML. */
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
