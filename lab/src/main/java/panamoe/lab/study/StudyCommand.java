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
      "--all takes two and a half hours on two cores. Finished runs are not repeated; interrupted ones resume. Without --all, --quick or parts it only prints what it would train."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe study                what would be trained, and how long that takes",
      "  panamoe study --all          every part",
      "  panamoe study S1 S5          two parts",
      "  panamoe study --quick        every part with a tenth of the tokens, in 15 minutes",
      "",
      "docs/study.md explains the parts and how each is judged."
    })
public final class StudyCommand implements Subcommand {
  private static final int INFERENCE_HIDDEN = 512;
  private static final String INCONCLUSIVE = "quick: too few tokens to conclude";

  @Mixin private SharedOptions shared;

  @Parameters(paramLabel = "PART", description = "S1 to S8.")
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
      description = "A tenth of the tokens and one seed, in DIR/quick: not enough to conclude.")
  private boolean quick;

  @Option(names = "--list", description = "Only print what would be trained.")
  private boolean list;

  @Override
  public Integer call() throws IOException, InterruptedException {
    shared.require(!all || names.isEmpty(), "give --all or parts, not both");
    boolean asked = all || quick || !names.isEmpty();
    boolean train = asked && !list;
    StudyBudget budget = quick ? StudyBudget.quick(shared.seed()) : StudyBudget.full(shared.seed());
    List<StudyPart> parts = chosen(parts(budget, new DecodeTiming(shared::open)));
    Path folder = quick ? out.resolve("quick") : out;
    PrintWriter print = shared.out();
    PrintWriter err = shared.err();
    Trainings trainings = new Trainings(folder, shared.ofMachine(), err);
    Collection<StudyRun> runs = runs(parts);
    PrintWriter table = train ? err : print;
    table.print(new RunList(runs, trainings::stepsDone));
    table.flush();
    if (!asked) {
      err.println("nothing is trained yet: give --all, parts such as S1 S5, or --quick");
    }
    if (!train) {
      return 0;
    }
    runs.forEach(trainings::requireSame);
    for (StudyRun run : runs) {
      err.println("== " + run.name());
      trainings.train(run);
    }
    StudyResults results = StudyResults.in(folder);
    Map<StudyPart, Finding> findings = new LinkedHashMap<>();
    for (StudyPart part : parts) {
      findings.put(part, part.finding(results));
      print.println(line(part, findings.get(part)));
      print.flush();
    }
    Path page = StudyPage.write(folder.resolve("results"), introduction(budget, quick), findings);
    err.println("page: " + page);
    return 0;
  }

  static List<StudyPart> parts(StudyBudget budget, Inference.Stopwatch stopwatch) {
    return List.of(
        new TrainingCost(budget),
        new LaterExperts(budget),
        new ResidualMoe(budget),
        new PyramidResidual(budget),
        new Students(budget),
        new Balancing(budget),
        new CapacityFactor(budget),
        new Inference(INFERENCE_HIDDEN, stopwatch));
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
            "Every run: %,d steps of %d sequences of %d tokens of the default corpus by a tokenizer of %,d;"
                + " the seeds of S1, S4 and S5: %d. Bits per byte are of the validation text, as mean ± standard deviation of the seeds. S8 is timed on %d processors.",
            budget.steps(),
            StudyBudget.BATCH,
            StudyBudget.SEQUENCE,
            Shapes.VOCABULARY,
            budget.seeds(),
            Runtime.getRuntime().availableProcessors());
    return Words.of(
        "%s Written by `ci/study%s`; docs/study.md says what is compared and why.",
        (quick ? "**" + INCONCLUSIVE + ".** " : "") + runs, quick ? " --quick" : "");
  }
}
