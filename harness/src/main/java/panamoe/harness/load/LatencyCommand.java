package panamoe.harness.load;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import panamoe.backend.Backend;
import panamoe.comm.Traffic;
import panamoe.engine.Engine;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationListener;
import panamoe.engine.GenerationRequest;
import panamoe.engine.ModelFolder;
import panamoe.engine.SamplingConfig;
import panamoe.engine.StopConfig;
import panamoe.harness.ComputeType;
import panamoe.harness.SharedOptions;
import panamoe.harness.ranks.Alike;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code panamoe bench latency}. */
@Command(
    name = "latency",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measures how long the next token of each text takes, on one rank or over many: texts are",
      "written together, a step of the engine for all. Shows beside it which part of the time went",
      "into exchanges between experts' ranks, and what a rank sends in a step."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe bench latency novels --texts 1,16",
      "  panamoe bench latency novels --ranks 4 --ep 2 --tp 2",
      "  panamoe bench latency novels --ranks 8 --nodes 2 --exchange hierarchical",
      "  mpirun -n 4 panamoe bench latency novels --comm mpi --ep 4",
      "",
      "docs/benchmarks.md says what each column means."
    })
public final class LatencyCommand implements Callable<Integer> {
  private static final int WARM_UP = 10;

  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;
  @Mixin private RankOptions rankOptions;

  @Parameters(paramLabel = "MODEL", description = "A run's folder, or a checkpoint.")
  private Path model;

  @Option(
      names = "--texts",
      split = ",",
      paramLabel = "N",
      defaultValue = "1,8,16",
      description = "Texts that are written together. Default: ${DEFAULT-VALUE}.")
  private List<Integer> texts;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "100",
      description =
          "Tokens of each text; the first fifth is not timed. Default: ${DEFAULT-VALUE}, or what the context has room for.")
  private int tokens;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "f32",
      description = "f32 or bf16. Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  @Override
  public Integer call() throws Exception {
    for (int count : texts) {
      require(count >= 1 && count <= 1024, "--texts is " + count + ", expected 1 to 1024");
    }
    require(tokens >= 5, "--tokens is " + tokens + ", expected 5 or more");
    ModelFolder folder = ModelFolder.open(model);
    shared.checked(rankOptions::topology);
    rankOptions.requireAvailable();
    new RankRun(rankOptions, shared)
        .run(
            (ranks, backend, _) -> {
              Alike.requireModel(ranks, folder);
              measure(ranks, backend, folder);
              return null;
            });
    return 0;
  }

  private void measure(Ranks ranks, Backend backend, ModelFolder folder) throws Exception {
    int length = Math.min(tokens, folder.config().context() - 1);
    List<String> warnings = new ArrayList<>();
    try (LanguageModel loaded = folder.load(backend, dtype.dtype(), ranks, warnings, _ -> {})) {
      if (ranks.first()) {
        warnings.forEach(warning -> spec.commandLine().getErr().println("warning: " + warning));
      }
      if (ranks.first() && !shared.json()) {
        out().println(Latency.HEADER);
      }
      // Ranks find out how fast their links are when they first exchange rows.
      measure(ranks, backend, folder, loaded, texts.getFirst(), WARM_UP);
      for (int count : texts) {
        Latency latency = measure(ranks, backend, folder, loaded, count, length);
        if (ranks.first()) {
          print(latency);
        }
      }
    }
  }

  private Latency measure(
      Ranks ranks, Backend backend, ModelFolder folder, LanguageModel loaded, int count, int length)
      throws Exception {
    double[] steps = new double[length];
    Traffic before = ranks.world().traffic();
    try (ExchangeShare exchanges = new ExchangeShare()) {
      Engine.onRanks(
          backend,
          loaded,
          folder.tokenizer(),
          config(count, length),
          engine -> time(engine, count, steps, folder.tokenizer().endOfText()));
      Traffic sent = mean(ranks, before, ranks.world().traffic(), length);
      int here = rankOptions.oneProcess() ? ranks.world().size() : 1;
      double share = ranks.first() ? exchanges.of(Arrays.stream(steps).sum(), here) : 0;
      return Latency.of(name(), ranks, rankOptions.strategy(), count, steps, share, sent);
    }
  }

  private static EngineConfig config(int texts, int length) {
    int each = EngineConfig.one(length + 1).blocks();
    return new EngineConfig(texts * each, EngineConfig.BLOCK, texts, texts, 1, false, 0);
  }

  /** Writes texts together and notes the milliseconds of each step. */
  private void time(Engine engine, int texts, double[] steps, int first) {
    StopConfig stop = new StopConfig(steps.length, 0, List.of(), Set.of(), true, false);
    for (int text = 0; text < texts; text++) {
      SamplingConfig sampling = SamplingConfig.of(1, 0, 1, shared.seed() + text);
      engine.submit(
          GenerationRequest.of(new int[] {first}, sampling, stop),
          new GenerationListener() {
            @Override
            public void failed(RuntimeException failure) {
              throw failure;
            }
          });
    }
    for (int step = 0; step < steps.length; step++) {
      long start = System.nanoTime();
      engine.step();
      steps[step] = (System.nanoTime() - start) / 1e6;
    }
  }

  /** What a rank sent in a step, on average over ranks. */
  private static Traffic mean(Ranks ranks, Traffic before, Traffic after, int steps) {
    long[] mine = {
      after.nearMessages() - before.nearMessages(),
      after.nearBytes() - before.nearBytes(),
      after.farMessages() - before.farMessages(),
      after.farBytes() - before.farBytes()
    };
    long[] sums = new long[mine.length];
    for (int i = 0; i < mine.length; i++) {
      sums[i] = Arrays.stream(ranks.world().allGather(mine[i])).sum();
    }
    long parts = (long) ranks.world().size() * steps;
    return new Traffic(sums[0] / parts, sums[1] / parts, sums[2] / parts, sums[3] / parts);
  }

  private String name() {
    return model.toAbsolutePath().normalize().getFileName().toString();
  }

  private void print(Latency latency) throws Exception {
    out().println(shared.json() ? new ObjectMapper().writeValueAsString(latency) : latency.toRow());
    out().flush();
  }

  private PrintWriter out() {
    return spec.commandLine().getOut();
  }

  private void require(boolean holds, String sentence) {
    if (!holds) {
      throw new ParameterException(spec.commandLine(), sentence);
    }
  }
}
