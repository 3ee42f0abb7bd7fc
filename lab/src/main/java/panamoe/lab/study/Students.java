package panamoe.lab.study;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import panamoe.config.ModelConfig;
import panamoe.io.Words;
import panamoe.model.KeptLayers;
import panamoe.model.LanguageModel;
import panamoe.train.DistillationConfig;
import panamoe.train.DistillationConfig.Fall;
import panamoe.train.DistillationConfig.Stage;

/** S5 and S6 layers: students of a PR-MoE of eight layers, distilled in several ways or not. */
final class Students extends StudyPart {
  /** The paper's student keeps 99.3 % of its teacher's quality. */
  private static final double LOST = 0.007;

  /** The fraction of the tokens after which the paper's recipe ends distillation. */
  static final double PAPER_STOP = 0.7;

  private final Measurements measurements;
  private final Variant teacher;
  private final List<Variant> scratch; // the student from random weights, in S5 alone
  private final Variant control;
  private final Variant whole;
  private final Variant staged;
  private final List<Variant> otherStops;

  private Students(Claim claim, StudyBudget budget, int layers, Measurements measurements) {
    super(claim);
    boolean all = claim == Claim.S5;
    StudyBudget deep = budget.deep();
    this.measurements = measurements;
    teacher = Plateau.teacher(budget);
    KeptLayers kept = KeptLayers.of(layers, Shapes.teacher());
    ModelConfig student = kept.config(Shapes.teacher());
    String of = "-of-" + layers;
    scratch = all ? List.of(deep.seeds("scratch" + of, student)) : List.of();
    // Alpha 0: the teacher's layers as a start, and nothing else of it.
    control = deep.students("no-kd" + of, student, until(0, 1, kept), teacher);
    whole = deep.students("full-kd" + of, student, until(1, 1, kept), teacher);
    staged = staged(budget, layers);
    otherStops =
        Stream.of(0.4, 0.9)
            .filter(_ -> all)
            .map(
                stop ->
                    deep.students(stagedName(layers, stop), student, until(1, stop, kept), teacher))
            .toList();
  }

  /** An eighth fewer layers, as in the paper. */
  static Students seven(StudyBudget budget, Measurements measurements) {
    return new Students(Claim.S5, budget, 7, measurements);
  }

  /** A quarter fewer layers. */
  static Students six(StudyBudget budget, Measurements measurements) {
    return new Students(Claim.S11, budget, 6, measurements);
  }

  /** Students by the paper's recipe. */
  static Variant staged(StudyBudget budget, int layers) {
    KeptLayers kept = KeptLayers.of(layers, Shapes.teacher());
    return budget
        .deep()
        .students(
            stagedName(layers, PAPER_STOP),
            kept.config(Shapes.teacher()),
            until(1, PAPER_STOP, kept),
            Plateau.teacher(budget));
  }

  private static String stagedName(int layers, double stop) {
    return Words.of("staged-%.0f-of-%d", 100 * stop, layers);
  }

  private static DistillationConfig until(double alpha, double stop, KeptLayers kept) {
    return new DistillationConfig(alpha, 1, new Stage(Fall.STOP, stop), kept.layers());
  }

  @Override
  List<Variant> variants() {
    List<Variant> all = new ArrayList<>(List.of(teacher));
    all.addAll(scratch);
    all.addAll(List.of(control, whole, staged));
    all.addAll(otherStops);
    return all;
  }

  @Override
  Finding finding(StudyResults results) {
    SeedSample taught = results.bits(teacher);
    SeedSample ours = results.bits(staged);
    SeedSample untaught = results.bits(control);
    boolean keeps = ours.notWorse(taught, LOST / (1 - LOST) * taught.mean());
    boolean helps = ours.below(untaught);
    boolean stopped = !results.bits(whole).below(ours);
    double standard = parameters(Shapes.standard());
    return new Finding(
        Verdict.of(
            keeps && helps && stopped,
            helps,
            untaught.notWorse(ours, SeedSample.MARGIN) || untaught.below(ours)),
        Words.of(
            "%.2f %%, control %.2f %%",
            100 * retained(results, staged), 100 * retained(results, control)),
        Words.of(
            "%s retains %.2f %% of the teacher's quality, %s %.2f %%, and the same start without a teacher %.2f %%; a standard MoE of as many layers has %.1f times the student's parameters.",
            staged.name(),
            100 * retained(results, staged),
            whole.name(),
            100 * retained(results, whole),
            100 * retained(results, control),
            standard / staged.parameters()),
        results.table(
            variants(),
            List.of("quality retained", "tasks solved, %"),
            each ->
                List.of(
                    Words.of("%.2f %%", 100 * retained(results, each)), tasks(each).toString())),
        results.bitsOverTokens(variants()));
  }

  private SeedSample tasks(Variant variant) {
    return new SeedSample(
        variant.runs().stream().map(run -> 100 * measurements.accuracy(run)).toList());
  }

  private double retained(StudyResults results, Variant variant) {
    return results.bits(teacher).mean() / results.bits(variant).mean();
  }

  private static double parameters(ModelConfig config) {
    try (LanguageModel model = new LanguageModel(config)) {
      return model.parameters().count();
    }
  }
}
