package panamoe.harness.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import panamoe.backend.Activation;
import panamoe.comm.CommunicationException;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.data.Corpus;
import panamoe.data.bpe.BpeTrainer;
import panamoe.harness.ComputeType;
import panamoe.harness.SharedOptions;
import panamoe.parallel.Topology;
import panamoe.parallel.TopologyDrawing;
import panamoe.tensor.DType;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code panamoe train}. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains a language model on text and writes checkpoints, metrics and a report into a folder.",
      "Without --text it trains on the default corpus, speeches of the European Parliament in 21 languages."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe train --preset tiny --out first",
      "  panamoe train --preset small --arch moe --steps 500 --out moe",
      "  panamoe train --languages en,de,fr --out three",
      "  panamoe train --text ~/novels --steps 2000 --dtype bf16 --out novels",
      "  panamoe train --text ~/novels --vocabulary 4096 --out words",
      "  panamoe train --out novels --resume   goes on after the last checkpoint, bit for bit",
      "  panamoe train --out novels --resume --steps 4000   trains a finished run further, up to step 4000",
      "  panamoe train --ranks 4 --ep 2 --out moe   four ranks as threads; --explain-topology draws them",
      "  mpirun -n 8 panamoe train --comm mpi --ep 4 --tp 2 --out moe",
      "  mpirun -n 4 panamoe train --comm nccl --device cuda --out moe   a card for each rank",
      "  panamoe train --ranks 2 --overlap 2 --trace moe.json --out moe   a timeline of the ranks",
      "",
      "DIR then holds config.json, metrics.jsonl (one line a step), checkpoints/, report.html and plots/.",
      "What a run computes depends on config.json, the text and the tokenizer; never on the number of threads, and on",
      "the number of ranks, or what they hold, only as far as sums round: --resume goes on with any other."
    })
public final class TrainCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;
  @Mixin private RankOptions rankOptions;

  @Option(
      names = "--preset",
      paramLabel = "SIZE",
      description =
          "tiny (seconds), small (minutes; the default) or base (the training benchmark).")
  private Size preset;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "A config.json, as a run writes it: model, training and seed. Excludes --preset, --arch, --steps, --dtype, "
              + "--recompute, --seed and --resume.")
  private Path configFile;

  @Option(
      names = "--arch",
      paramLabel = "ARCH",
      description =
          "dense, moe (experts in every 2nd layer) or pr-moe (pyramid-residual; the default).")
  private String architecture;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description =
          "Optimizer steps in all. Default: the preset's; with --resume, as many as the run was begun with.")
  private Integer steps;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description = "f32 (default) or bf16 with float32 masters.")
  private ComputeType dtype;

  @Option(
      names = "--recompute",
      description = "Keep less memory: compute each layer again in the backward.")
  private boolean recompute;

  @Option(names = "--text", paramLabel = "PATH", description = "A UTF-8 file, or a folder of them.")
  private Path text;

  @Option(
      names = "--languages",
      paramLabel = "CODE",
      split = ",",
      description = "Languages of the default corpus to keep, such as en,de,fr. Default: all 21.")
  private Set<String> languages = Set.of();

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description = "A tokenizer.json in Hugging Face's format, of byte-level BPE. Default: bytes.")
  private Path tokenizer;

  @Option(
      names = "--vocabulary",
      paramLabel = "N",
      description =
          "Train a tokenizer of N tokens first, on the text that the run trains on. Not with --tokenizer.")
  private Integer vocabulary;

  @Option(names = "--out", paramLabel = "DIR", description = "Where the run goes. Required.")
  private Path out;

  @Option(
      names = "--resume",
      description = "Go on after the last checkpoint in DIR, on the same text.")
  private boolean resume;

  @Option(names = "--explain-topology", description = "Draw who holds what, and end.")
  private boolean explain;

  @Override
  public Integer call() throws Exception {
    if (explain) {
      return explain();
    }
    if (out == null) {
      throw usage("Missing required option: '--out=DIR'");
    }
    if (text != null && !languages.isEmpty()) {
      throw usage("--languages chooses from the default corpus and does not go with --text");
    }
    PrintWriter err =
        rankOptions.leads() ? spec.commandLine().getErr() : new PrintWriter(Writer.nullWriter());
    Topology topology = shared.checked(rankOptions::topology);
    rankOptions.requireAvailable();
    Optional<TrainingRun.Outcome> outcome = resume ? goOn(topology, err) : begin(topology, err);
    if (outcome.isEmpty()) {
      throw new InterruptedException();
    }
    if (rankOptions.leads()) {
      spec.commandLine()
          .getOut()
          .println(shared.json() ? outcome.get().toJson() : outcome.get().toString());
    }
    return 0;
  }

  /** Starts a new run. Everything that could refuse it is checked before its folder is created. */
  private Optional<TrainingRun.Outcome> begin(Topology topology, PrintWriter err) throws Exception {
    RunTokenizer named = namedTokenizer();
    RunConfig config = config(named);
    requireFits(config, topology);
    if (rankOptions.leads()) {
      RunPlace.requireFree(out);
    }
    Text read = text == null ? defaultCorpus() : Text.read(text);
    RunTokenizer tokens = named != null ? named : ownTokenizer(read, err);
    Material material = Material.of(read, tokens.tokenizer(), config);
    try (RunFolder folder = rankOptions.leads() ? RunFolder.create(out) : RunFolder.follow(out)) {
      try {
        return train(folder, config, material, tokens, err);
      } catch (CommunicationException e) {
        throw e; // the run is sound, and may be resumed when the lost rank is back
      } catch (Exception e) {
        if (folder.discard(e)) {
          err.println("no checkpoint was saved: what the run wrote into " + out + " is removed");
        }
        throw e;
      }
    }
  }

  /** Resumes a run. */
  private Optional<TrainingRun.Outcome> goOn(Topology topology, PrintWriter err) throws Exception {
    requireNoSettings();
    try (RunFolder folder = rankOptions.leads() ? RunFolder.open(out) : RunFolder.follow(out)) {
      folder.requireCheckpoints(folder.config());
      RunConfig config = further(folder);
      Optional<TrainingRun.Outcome> complete = folder.outcome(config);
      if (complete.isPresent()) {
        return rankOptions.oneProcess() ? complete : onRanks(config, true, (_, _, _) -> complete);
      }
      requireFits(config, topology);
      Text given = text != null ? Text.read(text) : languages.isEmpty() ? null : defaultCorpus();
      return train(
          folder, config, Material.of(folder.text(given), folder.tokenizer(), config), null, err);
    }
  }

  /** The settings of a resumed run, with the requested number of steps. */
  private RunConfig further(RunFolder folder) {
    RunConfig config = folder.config();
    RunConfig further = steps == null ? config : shared.checked(() -> config.withSteps(steps));
    int wanted = further.training().steps();
    long done = folder.stepsDone();
    if (wanted < done) {
      String refused =
          " is " + wanted + ", but the run in " + out + " has done " + done + " already";
      if (steps != null) {
        throw usage("--steps" + refused);
      }
      throw new IllegalArgumentException(
          "training.steps in "
              + out.resolve("config.json")
              + refused
              + "; set it to "
              + done
              + " or more");
    }
    return further;
  }

  /**
   * @param begun the tokenizer of a new run; null for a resumed one
   */
  private Optional<TrainingRun.Outcome> train(
      RunFolder folder, RunConfig config, Material material, RunTokenizer begun, PrintWriter err)
      throws Exception {
    boolean fresh = begun != null;
    return onRanks(
        config,
        false,
        (ranks, backend, stop) -> {
          Alike.require(ranks, material.text().corpus()::sha256, "has another text than rank 0");
          if (fresh && ranks.first()) {
            folder.begin(config, begun.json(), material.text());
          }
          return new TrainingRun(ranks, backend, folder, config, material, fresh, err).run(stop);
        });
  }

  /**
   * Runs {@code body} on every rank of this process, after a check that all processes have the same
   * settings and build, and agree on whether anything is left to train.
   *
   * @param complete whether this process finds nothing left to train
   */
  private Optional<TrainingRun.Outcome> onRanks(
      RunConfig config, boolean complete, RankRun.Body<Optional<TrainingRun.Outcome>> body)
      throws Exception {
    return new RankRun(rankOptions, shared)
        .run(
            (ranks, backend, stop) -> {
              Alike.require(ranks, config::toJson, "was started with other settings than rank 0");
              Alike.require(ranks, Build::ofClasses, "is another build than rank 0");
              Alike.require(ranks, Build::ofLibrary, "has another native library than rank 0");
              // Completeness depends on file times, which a network file system may show
              // differently to each machine for a while.
              String differs =
                  "sees other files in "
                      + out
                      + " than rank 0; resume when all machines see the same";
              Alike.require(ranks, () -> complete, differs);
              return body.run(ranks, backend, stop);
            });
  }

  private void requireFits(RunConfig config, Topology topology) {
    shared.checked(() -> config.requireFits(topology));
    long available = rankOptions.memoryAvailable(shared);
    // Ranks of one process share its memory unless each has a card. How several processes share
    // memory is unknown here.
    if (rankOptions.oneProcess()) {
      MemoryForecast.of(config.model(), config.training(), topology)
          .requireFits(available, rankOptions.cards() ? 1 : topology.ranks());
    }
  }

  /** The tokenizer that the options name; null if --vocabulary asks for one of the run's own. */
  private RunTokenizer namedTokenizer() throws IOException {
    if (vocabulary == null) {
      return RunTokenizer.read(tokenizer);
    }
    if (tokenizer != null) {
      throw usage("--vocabulary trains a tokenizer and does not go with --tokenizer");
    }
    shared.checked(() -> BpeTrainer.requireVocabulary(vocabulary));
    return null;
  }

  /** Trains a tokenizer on the training part of the text. */
  private RunTokenizer ownTokenizer(Text read, PrintWriter err) throws InterruptedException {
    List<String> passages = read.corpus().passages(Corpus.Part.TRAINING);
    return RunTokenizer.of(RunTokenizer.train(passages, vocabulary, shared.threads(), err));
  }

  private Text defaultCorpus() {
    return shared.checked(() -> Text.europarl(languages));
  }

  /** Prints what each rank would hold; trains nothing. */
  private int explain() throws IOException {
    RunConfig config = resume && out != null ? RunFolder.config(out) : config(namedTokenizer());
    Topology topology = shared.checked(rankOptions::topology);
    spec.commandLine()
        .getOut()
        .print(new TopologyDrawing(topology, rankOptions.nodes(), config.model().experts()));
    spec.commandLine().getOut().flush();
    return 0;
  }

  /**
   * @param named null if the run trains its own
   */
  private RunConfig config(RunTokenizer named) {
    int tokens = named == null ? vocabulary : named.tokenizer().vocabularySize();
    if (configFile != null) {
      if (preset != null
          || architecture != null
          || steps != null
          || dtype != null
          || recompute
          || seeded()) {
        throw usage(
            "--config holds every setting; --preset, --arch, --steps, --dtype, --recompute and --seed do not go with it");
      }
      RunConfig read = RunConfig.read(configFile);
      int custom = read.model().activations().indexOf(Activation.CUSTOM);
      if (custom >= 0) {
        throw new IllegalArgumentException(
            configFile
                + ": at $.model.blocks["
                + custom
                + "].feedForward.activation: only a program that brings a CUSTOM activation can train with it, see "
                + "docs/runtime-kernels.md");
      }
      if (read.model().vocabulary() != tokens && named == null) {
        throw usage(
            "--vocabulary is "
                + tokens
                + ", but model.vocabulary in "
                + configFile
                + " is "
                + read.model().vocabulary());
      }
      return read;
    }
    Size size = preset == null ? Size.SMALL : preset;
    DType compute = dtype == null ? DType.FLOAT32 : dtype.dtype();
    return shared.checked(
        () -> Presets.run(size, architecture(), steps, compute, recompute, tokens, shared.seed()));
  }

  private Architecture architecture() {
    return switch (architecture == null ? "pr-moe" : architecture) {
      case "dense" -> Architecture.DENSE;
      case "moe" -> Architecture.MOE;
      case "pr-moe" -> Architecture.PR_MOE;
      default ->
          throw usage(
              "Invalid value for option '--arch': '"
                  + architecture
                  + "' is not dense, moe or pr-moe");
    };
  }

  private boolean seeded() {
    return spec.commandLine().getParseResult().hasMatchedOption("--seed");
  }

  private void requireNoSettings() {
    if (preset != null
        || configFile != null
        || architecture != null
        || dtype != null
        || tokenizer != null
        || vocabulary != null
        || recompute
        || seeded()) {
      throw usage(
          "--resume goes on with the settings in "
              + out.resolve("config.json")
              + ", of which --steps alone may change; leave the others out");
    }
  }

  private ParameterException usage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
