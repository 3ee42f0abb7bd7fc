package panamoe.lab.study;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.io.Words;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.JsonNodeFactory;

/** {@code panamoe study}. */
@Command(
    name = "study",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains many small models to check which claims of the DeepSpeed-MoE paper hold at their size.",
      "--all takes about ten hours of one core (--threads 1); parts may run side by side, S0 first, each in at most 150 minutes. Finished runs are not repeated; interrupted ones resume. Without --all, --quick or parts it only prints what it would train."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe study                what would be trained, and how long that takes",
      "  panamoe study --all          every part",
      "  panamoe study S1 S5          two parts",
      "  panamoe study --quick        every part with a hundredth of the tokens: a check that they run",
      "",
      "docs/study.md explains the parts and how each is judged."
    })
public final class StudyCommand implements Subcommand {
  private static final int INFERENCE_HIDDEN = 512;
  private static final String INCONCLUSIVE = "quick: too few tokens to conclude";

  @Mixin private SharedOptions shared;

  @Parameters(paramLabel = "PART", description = "S0 to S11.")
  private List<String> names = List.of();

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      defaultValue = "build/study",
      description = "Folder for the runs, and for the page in results/. Default: ${DEFAULT-VALUE}.")
  private Path out;

  @Option(names = "--all", description = "Every part.")
  private boolean all;

  @Option(
      names = "--quick",
      description = "A hundredth of the tokens and one seed, in DIR/quick: not enough to conclude.")
  private boolean quick;

  @Option(
      names = "--known",
      paramLabel = "DIR",
      description =
          "Folder of a published study's figures: runs that have a file there are not trained, unless a student needs them.")
  private Path known;

  @Option(names = "--list", description = "Only print what would be trained.")
  private boolean list;

  @Override
  public Integer call() throws IOException, InterruptedException {
    shared.require(!all || names.isEmpty(), "give --all or parts, not both");
    boolean asked = all || quick || !names.isEmpty();
    boolean train = asked && !list;
    StudyBudget budget = quick ? StudyBudget.quick(shared.seed()) : StudyBudget.full(shared.seed());
    Path folder = quick ? out.resolve("quick") : out;
    PrintWriter print = shared.out();
    PrintWriter err = shared.err();
    Trainings trainings = new Trainings(folder, shared.ofMachine(), err);
    Inference.Stopwatch stopwatch = new DecodeTiming(shared::open);
    FigureFiles figures =
        new FigureFiles(
            folder.resolve("results").resolve(StudyPage.FIGURES).resolve("runs"),
            known,
            trainings,
            new CommandMeasurements(trainings));
    List<StudyPart> parts = chosen(parts(budget, stopwatch, figures));
    Collection<StudyRun> runs = runs(parts);
    PrintWriter table = train ? err : print;
    table.print(
        new RunList(runs, run -> figures.has(run) ? run.steps() : trainings.stepsDone(run)));
    table.flush();
    if (!asked) {
      err.println("nothing is trained yet: give --all, parts such as S1 S5, or --quick");
    }
    if (!train) {
      return 0;
    }
    runs.forEach(trainings::requireSame);
    train(runs, trainings, figures);
    StudyResults results = new StudyResults(figures::of);
    Map<StudyPart, Finding> findings = new LinkedHashMap<>();
    for (StudyPart part : parts) {
      for (List<Variant> next = part.next(results); !next.isEmpty(); next = part.next(results)) {
        List<StudyRun> more = next.stream().flatMap(each -> each.runs().stream()).toList();
        more.forEach(trainings::requireSame);
        train(more, trainings, figures);
      }
      findings.put(part, part.finding(results));
      print.println(line(part, findings.get(part)));
      print.flush();
    }
    Path page = StudyPage.write(folder.resolve("results"), introduction(budget, quick), findings);
    err.println("page: " + page);
    return 0;
  }

  private void train(Collection<StudyRun> runs, Trainings trainings, FigureFiles figures)
      throws IOException, InterruptedException {
    for (StudyRun run : runs) {
      if (!figures.has(run)) {
        shared.err().println("== " + run.name());
        trainings.train(run);
        figures.of(run);
      }
    }
  }

  static List<StudyPart> parts(
      StudyBudget budget, Inference.Stopwatch stopwatch, Measurements measurements) {
    DenseMatch match = new DenseMatch(budget, TrainingCost.many(budget));
    return List.of(
        new Plateau(budget),
        new TrainingCost(budget, match),
        new LaterExperts(budget),
        new ResidualMoe(budget),
        new PyramidResidual(budget),
        Students.seven(budget, measurements),
        new Balancing(budget),
        new CapacityFactor(budget),
        new Inference(budget, match, INFERENCE_HIDDEN, stopwatch),
        new OnPolicy(budget, measurements),
        new Pruning(budget, measurements),
        Students.six(budget, measurements));
  }

  /** All runs of these parts, each once. */
  static Collection<StudyRun> runs(List<StudyPart> parts) {
    Map<String, StudyRun> runs = new LinkedHashMap<>();
    for (StudyPart part : parts) {
      for (Variant variant : part.variants()) {
        variant.runs().forEach(run -> runs.putIfAbsent(run.name(), run));
      }
    }
    return runs.values();
  }

  private List<StudyPart> chosen(List<StudyPart> parts) {
    List<String> known = parts.stream().map(part -> part.claim().name()).toList();
    for (String name : names) {
      shared.require(
          known.contains(name.toUpperCase(Locale.ROOT)),
          "there is no part '" + name + "', expected some of " + known);
    }
    return parts.stream()
        .filter(
            part ->
                names.isEmpty() || names.stream().anyMatch(part.claim().name()::equalsIgnoreCase))
        .toList();
  }

  private String line(StudyPart part, Finding finding) {
    if (shared.json()) {
      return JsonNodeFactory.instance
          .objectNode()
          .put("part", part.claim().name())
          .put("verdict", finding.verdict().toString())
          .put("conclusive", !quick)
          .put("numbers", finding.numbers())
          .toString();
    }
    String line =
        part.claim().name() + ", " + part.claim().title() + ". " + StudyPage.sentence(finding);
    return quick ? line + " (" + INCONCLUSIVE + ")" : line;
  }

  static String introduction(StudyBudget budget, boolean quick) {
    String runs =
        Words.of(
            "Models of four layers: %,d steps of %d sequences of %d tokens of the default corpus by a tokenizer of %,d, of eight layers %,d steps;"
                + " %d seeds or %d. Bits per byte are of the validation text, as mean ± standard deviation of the seeds. S8 is timed on %d processors.",
            budget.steps(),
            StudyBudget.BATCH,
            StudyBudget.SEQUENCE,
            Shapes.VOCABULARY,
            budget.deep().steps(),
            budget.seeds(),
            budget.moreSeeds(),
            Runtime.getRuntime().availableProcessors());
    return Words.of(
        "%s Written by `ci/study%s`; docs/study.md says what is compared and why.",
        (quick ? "**" + INCONCLUSIVE + ".** " : "") + runs, quick ? " --quick" : "");
  }
}
