package panamoe.harness.serve.replay;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import panamoe.backend.Backend;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.Engine;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.ranks.EngineRun;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.harness.serve.SystemFingerprint;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.log.LoggedCompletion;
import panamoe.harness.serve.log.ResponseRecorder;
import panamoe.harness.serve.model.Constraints;
import panamoe.harness.serve.model.Numerics;
import panamoe.io.Count;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe replay}. */
@Command(
    name = "replay",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Repeats completions that serve has logged, and compares every bit.",
    footer = {
      "",
      "Examples:",
      "  panamoe serve novels --log-requests answers",
      "  panamoe replay answers/*.json",
      "  panamoe replay answers/*.json --model novels --dtype bf16",
      "",
      "The exit code is 1 if a token or the bits of its logprob differ. See docs/serving-replay.md."
    })
public final class ReplayCommand implements Subcommand {
  @Mixin private SharedOptions shared;
  @Mixin private RankOptions rankOptions;

  @Parameters(
      paramLabel = "FILE",
      arity = "1..*",
      description = "Files that serve --log-requests wrote.")
  private List<Path> files;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "DIR",
      description = "A run's folder, or a checkpoint. Default: the checkpoint that a file names.")
  private Path model;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description = "f32 or bf16. Default: what a file names.")
  private ComputeType dtype;

  /** The model to load for a completion. */
  private record Source(Path model, Numerics numerics) {}

  @Override
  public Integer call() throws Exception {
    Map<Source, Map<Path, LoggedCompletion>> bySource = new LinkedHashMap<>();
    Map<Path, ModelFolder> folders = new HashMap<>();
    for (Path file : files) {
      LoggedCompletion text = LoggedCompletion.read(file);
      Numerics logged = text.origin().numerics();
      Source source =
          new Source(
              model == null ? Path.of(text.origin().checkpoint()) : model,
              dtype == null ? logged : logged.withDType(dtype));
      bySource.computeIfAbsent(source, _ -> new LinkedHashMap<>()).put(file, text);
      folders.computeIfAbsent(source.model(), ModelFolder::open);
    }
    shared.checked(rankOptions::topology);
    rankOptions.requireAvailable();
    boolean same =
        new RankRun(rankOptions, shared)
            .run((ranks, backend, stop) -> replay(ranks, backend, folders, bySource, stop));
    return same ? 0 : 1;
  }

  /** Replays the completions of each source. */
  private boolean replay(
      Ranks ranks,
      Backend backend,
      Map<Path, ModelFolder> folders,
      Map<Source, Map<Path, LoggedCompletion>> bySource,
      BooleanSupplier stop)
      throws Exception {
    boolean[] same = {true};
    for (Map.Entry<Source, Map<Path, LoggedCompletion>> entry : bySource.entrySet()) {
      Source source = entry.getKey();
      ModelFolder folder = folders.get(source.model());
      if (ranks.first()) {
        String version = shared.command().root().version()[0];
        String now = SystemFingerprint.of(folder, source.numerics(), backend, ranks, version);
        entry.getValue().forEach((file, text) -> warn(file, text.origin(), now, backend));
      }
      Constraints constraints = new Constraints(folder.tokenizer());
      new EngineRun(folder, source.numerics().settings(folder), shared.err(), stop)
          .run(
              ranks,
              backend,
              EngineConfig.one(folder.config().context())
                  .withInt8Cache(source.numerics().keyValues() == KeyValueType.INT8),
              engine -> same[0] &= same(engine, constraints, entry.getValue(), stop));
    }
    return same[0];
  }

  private void warn(Path file, LoggedCompletion.Origin then, String now, Backend backend) {
    if (!then.fingerprint().equals(now)) {
      String why =
          then.device().equals(backend.name())
              ? "the weights, the tokenizer, --dtype, the slices or the version are others"
              : "it was written on " + then.device() + ", this is " + backend.name();
      shared.note("%s: the fingerprint was %s and is %s: %s", file, then.fingerprint(), now, why);
      shared.err().flush();
    }
  }

  /** Generates the completions again, and prints for each whether it is the same. */
  private boolean same(
      Engine engine,
      Constraints constraints,
      Map<Path, LoggedCompletion> texts,
      BooleanSupplier stop) {
    boolean same = true;
    for (Map.Entry<Path, LoggedCompletion> entry : texts.entrySet()) {
      LoggedCompletion text = entry.getValue();
      String difference;
      try {
        difference = text.answer().difference(again(engine, constraints, text, stop));
      } catch (IllegalArgumentException | ApiError e) {
        throw new IllegalArgumentException(
            entry.getKey() + " cannot be replayed: " + e.getMessage(), e);
      }
      say(entry.getKey(), text.answer().tokens().length, difference);
      same &= difference == null;
    }
    return same;
  }

  private static LoggedCompletion.Answer again(
      Engine engine, Constraints constraints, LoggedCompletion text, BooleanSupplier stop) {
    ResponseRecorder recorder = new ResponseRecorder(_ -> {});
    engine.submit(text.request(constraints), recorder);
    while (!recorder.over()) {
      if (stop.getAsBoolean()) {
        throw new CancellationException();
      }
      engine.step();
    }
    return recorder.answer();
  }

  private void say(Path file, int tokens, String difference) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("file", file.toString()).put("identical", difference == null).put("tokens", tokens);
    json.put("difference", difference);
    String found = difference == null ? "identical: " + Count.of(tokens, "token") : difference;
    shared.out().println(shared.json() ? json : file + ": " + found);
    shared.out().flush();
  }
}
