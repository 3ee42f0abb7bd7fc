package panamoe.lab.load;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import panamoe.backend.Backend;
import panamoe.comm.Traffic;
import panamoe.config.ModelConfig;
import panamoe.engine.schedule.Engine;
import panamoe.harness.ComputeType;
import panamoe.harness.SharedOptions;
import panamoe.harness.probe.TimedGeneration;
import panamoe.harness.ranks.EngineRun;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.param.WeightTypes;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe bench latency}. */
@Command(
    name = "latency",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measures a decode step of an engine over one or many ranks: the time until each sequence has its next token, the share of it in exchanges between experts' ranks, and what a rank sends. With --peer it also times PyTorch for the same sequences and ranks."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe bench latency novels --texts 1,16",
      "  panamoe bench latency novels --ranks 4 --ep 2 --tp 2",
      "  panamoe bench latency novels --ranks 8 --nodes 2 --exchange hierarchical",
      "  mpirun -n 4 panamoe bench latency novels --comm mpi --ep 4",
      "  mpirun -n 2 panamoe bench latency novels --comm mpi --peer torch-einsum",
      "",
      "docs/benchmarks.md explains the columns."
    })
public final class LatencyCommand implements Callable<Integer> {
  private static final Duration WARM_UP = Duration.ofSeconds(3);

  @Mixin private SharedOptions shared;
  @Mixin private RankOptions rankOptions;

  @Parameters(paramLabel = "MODEL", description = "A run's folder, or a checkpoint.")
  private Path model;

  @Option(
      names = "--texts",
      split = ",",
      paramLabel = "N",
      defaultValue = "1,8,16",
      description = "Sequences in the batch. Default: ${DEFAULT-VALUE}.")
  private List<Integer> texts;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "100",
      description =
          "Tokens per sequence; the first fifth is not timed. Default: ${DEFAULT-VALUE}, at most the context.")
  private int tokens;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "f32",
      description = "f32 or bf16. Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  @Option(
      names = "--peer",
      paramLabel = "PEER",
      description =
          "Also time PyTorch: torch-einsum (one-hot masks, all-to-all and padded experts over equally many ranks of MPI, the DeepSpeed-MoE paper's baseline). ci/setup --tests installs it.")
  private String peer;

  /** This rank's part of the model, and the tokens per sequence. */
  private record Subject(
      Ranks ranks, Backend backend, ModelFolder folder, LanguageModel loaded, int length) {
    void write(TimedGeneration texts, Engine.Body work) throws InterruptedException {
      Engine.onRanks(backend, loaded, folder.tokenizer(), texts.config(), work);
    }
  }

  /** The ranks' results, for the peer that follows. */
  private record Measured(Latency latency, Completions texts) {}

  @Override
  public Integer call() throws Exception {
    for (int count : texts) {
      shared.require(count >= 1 && count <= 1024, "--texts is " + count + ", expected 1 to 1024");
    }
    shared.require(tokens >= 5, "--tokens is " + tokens + ", expected 5 or more");
    ModelFolder folder = ModelFolder.open(model);
    Topology topology = shared.checked(rankOptions::topology);
    rankOptions.requireAvailable();
    if (peer != null) {
      requirePeer(folder.config(), topology);
    }
    List<Measured> measured =
        new RankRun(rankOptions, shared)
            .run(
                (ranks, backend, _) -> {
                  EngineRun.requireSameModel(ranks, folder);
                  shared.require(
                      peer == null || backend.name().equals("cpu"),
                      "--peer " + peer + " does not run on --device " + backend.name());
                  return measure(ranks, backend, folder);
                });
    if (peer != null && rankOptions.leads()) {
      printBeside(folder, topology.ranks(), measured);
    }
    return 0;
  }

  private void requirePeer(ModelConfig config, Topology topology) throws IOException {
    shared.checked(() -> EinsumPeer.check(peer, config, topology));
    shared.require(
        rankOptions.oneProcess() || rankOptions.here() == topology.ranks(),
        "--peer " + peer + " runs on one machine, but these ranks are on several");
    if (rankOptions.leads()) {
      EinsumPeer.requireInstalled();
    }
  }

  /**
   * The peer runs after our ranks have ended, because waiting ranks would take processors from it.
   */
  private void printBeside(ModelFolder folder, int ranks, List<Measured> measured)
      throws IOException {
    int threads = Math.max(1, shared.threadCount() / ranks);
    try (EinsumPeer theirs = new EinsumPeer(folder, dtype, ranks, threads)) {
      for (Measured ours : measured) {
        print(ours.latency(), theirs.write(ours.texts(), ours.latency().stepMs()));
      }
    }
  }

  private List<Measured> measure(Ranks ranks, Backend backend, ModelFolder folder)
      throws Exception {
    int length = Math.min(tokens, folder.config().context() - 1);
    List<Measured> measured = new ArrayList<>();
    List<String> warnings = new ArrayList<>();
    try (LanguageModel loaded =
        folder.load(
            backend,
            InferenceSettings.of(WeightTypes.of(dtype.dtype())),
            ranks,
            warnings,
            _ -> {})) {
      if (ranks.first()) {
        warnings.forEach(warning -> shared.err().println("warning: " + warning));
      }
      if (ranks.first() && !shared.json()) {
        shared.out().println(Latency.HEADER);
      }
      Subject subject = new Subject(ranks, backend, folder, loaded, length);
      warmUp(subject);
      for (int count : texts) {
        Latency latency = measure(subject, count);
        if (peer != null) {
          measured.add(new Measured(latency, write(subject, count)));
        } else if (ranks.first()) {
          print(latency, null);
        }
      }
    }
    return measured;
  }

  /**
   * Warms up the JIT compiler, whose threads compete with the ranks, and lets ranks measure their
   * links.
   */
  private void warmUp(Subject subject) throws InterruptedException {
    TimedGeneration warm = timed(subject, texts.getFirst());
    subject.write(
        warm,
        engine -> {
          long end = System.nanoTime() + WARM_UP.toNanos();
          while (System.nanoTime() < end) {
            warm.write(engine);
          }
        });
  }

  /** Repeats the measured run with log-probabilities, which take time of their own. */
  private Completions write(Subject subject, int count) throws InterruptedException {
    TimedGeneration timed = timed(subject, count);
    Completions texts = Completions.of(count, subject.length, timed.first());
    subject.write(
        timed,
        engine -> {
          for (int text = 0; text < count; text++) {
            engine.submit(timed.request(text).withLogprobs(0), texts.listener(text));
          }
          for (int step = 0; step < subject.length; step++) {
            engine.step();
          }
        });
    return texts;
  }

  private Latency measure(Subject subject, int count) throws Exception {
    Ranks ranks = subject.ranks;
    TimedGeneration timed = timed(subject, count);
    double[] steps = new double[subject.length];
    Traffic before = ranks.world().traffic();
    try (ExchangeShare exchanges = new ExchangeShare()) {
      subject.write(
          timed, engine -> System.arraycopy(timed.write(engine), 0, steps, 0, steps.length));
      Traffic sent = mean(ranks, before, ranks.world().traffic(), steps.length);
      int here = rankOptions.oneProcess() ? ranks.world().size() : 1;
      double share = ranks.first() ? exchanges.of(Arrays.stream(steps).sum(), here) : 0;
      return Latency.of(name(), ranks, rankOptions.strategy(), count, steps, share, sent);
    }
  }

  private TimedGeneration timed(Subject subject, int count) {
    int first = subject.folder.tokenizer().endOfText();
    return new TimedGeneration(count, subject.length, 1, first, shared.seed());
  }

  /** Traffic of a rank in a step, on average over ranks. */
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

  /**
   * @param theirs null without a peer
   */
  private void print(Latency latency, EinsumPeer.Result theirs) {
    JsonMapper json = JsonMapper.shared();
    ObjectNode keys = json.valueToTree(latency);
    String row = latency.toRow();
    if (theirs != null) {
      keys.setAll(json.<ObjectNode>valueToTree(theirs));
      row += theirs.toRow();
    }
    shared.out().println(shared.json() ? keys : row);
    shared.out().flush();
  }
}
