package panamoe.harness.eval;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.data.Corpus;
import panamoe.data.TokenWindows;
import panamoe.data.Tokens;
import panamoe.engine.routes.RoutedLayer;
import panamoe.eval.Accuracy;
import panamoe.eval.Mean;
import panamoe.eval.Shots;
import panamoe.eval.Task;
import panamoe.eval.TaskEvaluator;
import panamoe.eval.TaskFile;
import panamoe.eval.TaskScore;
import panamoe.eval.TextEvaluator;
import panamoe.eval.TextScore;
import panamoe.harness.AdapterOption;
import panamoe.harness.ExpertOptions;
import panamoe.harness.ExpertReads;
import panamoe.harness.ModelArgument;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.WeightPrecision;
import panamoe.harness.train.TrainingText;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe eval}. */
@Command(
    name = "eval",
    customSynopsis = "panamoe eval [OPTIONS] MODEL",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measures a trained model: how well it predicts a text, or how many tasks it solves.",
      "Without --text and --tasks it uses the validation part of the text that the model was trained on."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe eval novels                        the validation part of its own text",
      "  panamoe eval novels --text ~/other.txt     another text, all of it",
      "  panamoe eval novels --tasks lambada.jsonl --json",
      "  panamoe eval novels --tasks triviaqa.jsonl --shots 5 --examples triviaqa-train.jsonl",
      "",
      "docs/evaluation.md has the format of tasks; panamoe data tasks makes some, and convert some more."
    })
public final class EvalCommand implements Subcommand {
  @Mixin private SharedOptions shared;

  @Mixin private ModelArgument model;

  @Option(names = "--text", paramLabel = "PATH", description = "A UTF-8 file, or a folder of them.")
  private Path text;

  @Option(
      names = "--window",
      paramLabel = "N",
      description =
          "Tokens per window of the text; the first is predicted from one token only. "
              + "Default: the model's context.")
  private Integer window;

  @Option(names = "--tasks", paramLabel = "FILE", description = "Tasks, one JSON object a line.")
  private Path tasks;

  @Option(
      names = "--shots",
      paramLabel = "K",
      description =
          "With --tasks: K solved examples before each task, drawn from --examples by --seed. Default: 0.")
  private int shots;

  @Option(
      names = "--examples",
      paramLabel = "FILE",
      description = "With --shots: tasks to draw from, such as the data set's training part.")
  private Path examples;

  @Mixin private WeightPrecision weights;
  @Mixin private ExpertOptions experts;
  @Mixin private AdapterOption adapter;
  private TextScore asTrained; // next to a score with fewer experts per token

  /** A measurement of a loaded model. */
  private interface Measurement {
    void run(Backend backend, LanguageModel model);
  }

  @Override
  public Integer call() {
    if (tasks != null && (text != null || window != null)) {
      throw shared.usage("--tasks does not go with --text and --window");
    }
    shared.require(
        shots >= 0 && shots > 0 == (examples != null) && (shots == 0 || tasks != null),
        "--shots K and --examples FILE go together, with --tasks");
    ModelFolder folder = ModelFolder.open(model.path());
    folder.config().requireLoss();
    Measurement measurement = tasks == null ? ofText(folder) : ofTasks(folder);
    shared.checked(() -> experts.requireFit(folder));
    try (Backend backend = shared.open()) {
      InferenceSettings settings = adapter.with(experts.settings(weights.types(folder)), folder);
      if (!settings.topK().isEmpty()) {
        measure(backend, folder, settings.asTrained(), measurement);
      }
      measure(backend, folder, settings, measurement);
    }
    return 0;
  }

  private void measure(
      Backend backend, ModelFolder folder, InferenceSettings settings, Measurement measurement) {
    PrintWriter err = shared.err();
    try (LanguageModel loaded = folder.load(backend, settings, null)) {
      loaded.parameters().note(settings.types()).ifPresent(note -> err.println("warning: " + note));
      measurement.run(backend, loaded);
      loaded
          .parameters()
          .expertCache()
          .ifPresent(cache -> err.println(ExpertReads.sentence(cache.statistics())));
    }
  }

  /** Experts per token of each MoE layer. */
  private static List<Integer> perToken(LanguageModel model) {
    return RoutedLayer.of(model.config()).stream().map(RoutedLayer::topK).toList();
  }

  /** Prints which of two measurements follows. */
  private void head(LanguageModel model) {
    if (!experts.topK().isEmpty() && !shared.json()) {
      shared.out().println("experts per token: " + perToken(model));
    }
  }

  private void head(LanguageModel model, ObjectNode json) {
    if (!experts.topK().isEmpty()) {
      perToken(model).forEach(json.withArray("experts_per_token")::add);
    }
  }

  private Measurement ofText(ModelFolder folder) {
    int context = folder.config().context();
    int length = window == null ? context : window;
    if (length < 1 || length > context) {
      throw shared.usage(
          "--window is " + length + ", expected 1 to the model's context of " + context);
    }
    String name;
    Tokens tokens;
    if (text == null) {
      TrainingText own = TrainingText.of(folder, shared);
      name = "validation part of " + own.source();
      tokens = own.tokens().tokens(Corpus.Part.VALIDATION, folder.tokenizer());
    } else {
      name = text.toString();
      tokens = Corpus.read(text).tokens(folder.tokenizer());
    }
    TokenWindows windows = new TokenWindows(tokens, folder.tokenizer(), length);
    return (backend, loaded) -> {
      TextScore score = new TextEvaluator(backend, loaded).measure(windows);
      if (score.bytes() == 0) {
        throw new IllegalArgumentException(
            name + " is too short to measure: it has no byte after its first token");
      }
      print(loaded, name, length, score);
    };
  }

  private void print(LanguageModel loaded, String name, int length, TextScore score) {
    PrintWriter out = shared.out();
    head(loaded);
    if (shared.json()) {
      ObjectNode json = JsonNodeFactory.instance.objectNode();
      json.put("text", name);
      json.put("bits_per_byte", score.bitsPerByte());
      json.put("nats_per_token", score.natsPerToken());
      json.put("perplexity", score.perplexity());
      json.put("tokens", score.tokens());
      json.put("bytes", score.bytes());
      json.put("window", length);
      head(loaded, json);
      out.println(json);
      return;
    }
    out.println(
        Words.of(
            "text: %s%n%.4f bits per byte; per token %.4f nats, perplexity %.3f; %s, %s, in windows of %d",
            name,
            score.bitsPerByte(),
            score.natsPerToken(),
            score.perplexity(),
            Count.of(score.tokens(), "token"),
            Count.of(score.bytes(), "byte"),
            length));
    if (asTrained != null) {
      out.println(
          Words.of(
              "%+.2f %% bits per byte", 100 * (score.bitsPerByte() / asTrained.bitsPerByte() - 1)));
    }
    asTrained = score;
  }

  private Measurement ofTasks(ModelFolder folder) {
    List<Task> asked = TaskFile.read(tasks);
    Shots before =
        examples == null
            ? Shots.NONE
            : shared.checked(() -> new Shots(TaskFile.read(examples), shots, shared.seed()));
    return (backend, loaded) -> {
      Map<Task.Kind, TaskScore> scores =
          new TaskEvaluator(backend, loaded, folder.tokenizer()).measure(asked, before);
      head(loaded);
      scores.forEach((kind, score) -> print(loaded, kind, score));
    };
  }

  private void print(LanguageModel loaded, Task.Kind kind, TaskScore score) {
    PrintWriter out = shared.out();
    String name = kind.name().toLowerCase(Locale.ROOT);
    if (shared.json()) {
      ObjectNode json = JsonNodeFactory.instance.objectNode();
      json.put("kind", name);
      json.put("tasks", score.plain().tasks());
      put(json, "", score.plain());
      if (score.perByte() != null) {
        put(json, "per_byte_", score.perByte());
      }
      if (score.f1() != null) {
        put(json, "f1", score.f1());
      }
      put(json, "log_likelihood", score.logLikelihood());
      head(loaded, json);
      out.println(json);
      return;
    }
    out.println(
        Words.of(
            "%s: %s%s%s; log-likelihood of the right answer %s nats",
            name,
            words(score.plain()),
            score.perByte() == null ? "" : "; per byte " + words(score.perByte()),
            score.f1() == null ? "" : "; F1 " + words(score.f1()),
            words(score.logLikelihood())));
  }

  /** Without an error of a single task, which has none. */
  private static void put(ObjectNode json, String name, Mean mean) {
    json.put(name, mean.value());
    if (!Double.isNaN(mean.error())) {
      json.put(name + "_error", mean.error());
    }
  }

  private static String words(Mean mean) {
    return Double.isNaN(mean.error())
        ? Words.of("%.4f", mean.value())
        : Words.of("%.4f ± %.4f", mean.value(), mean.error());
  }

  private static void put(ObjectNode json, String prefix, Accuracy accuracy) {
    json.put(prefix + "correct", accuracy.correct());
    put(json, prefix + "accuracy", new Mean(accuracy.fraction(), accuracy.error()));
    json.putArray(prefix + "interval").add(accuracy.low()).add(accuracy.high());
  }

  private static String words(Accuracy accuracy) {
    return Words.of(
        "%d of %d right, %.1f%s %% (95 %%: %.1f to %.1f %%)",
        accuracy.correct(),
        accuracy.tasks(),
        100 * accuracy.fraction(),
        Double.isNaN(accuracy.error()) ? "" : Words.of(" ± %.1f", 100 * accuracy.error()),
        100 * accuracy.low(),
        100 * accuracy.high());
  }
}
