package panamoe.lab.study;

import java.util.List;
import panamoe.config.ModelConfig;
import panamoe.model.KeptLayers;
import panamoe.model.LanguageModel;
import panamoe.train.DistillationConfig;
import panamoe.train.DistillationConfig.Fall;
import panamoe.train.DistillationConfig.Stage;

/** S5: students of a PR-MoE with a layer less, distilled in four ways. */
final class Students implements Part {
  private static final double RETAINED = 0.99;

  private final Variant teacher;
  private final Variant plain;
  private final Variant whole;
  private final Variant staged;
  private final Variant started;

  Students(Budget budget) {
    teacher = PyramidResidual.prMoe(budget);
    ModelConfig deep = teacher.first().config().model();
    KeptLayers kept = Shapes.kept(deep);
    ModelConfig student = kept.config(deep);
    plain = budget.seeds("no-kd", student);
    Stage always = new Stage(Fall.STOP, 1);
    whole =
        budget.students("full-kd", student, new DistillationConfig(1, 1, always, null), teacher);
    staged = budget.students("staged-kd", student, DistillationConfig.staged(null), teacher);
    started =
        budget.students("staged-init", student, DistillationConfig.staged(kept.layers()), teacher);
  }

  @Override
  public String name() {
    return "S5";
  }

  @Override
  public String title() {
    return "Mixture-of-Students";
  }

  @Override
  public String claim() {
    return "With staged distillation a student of fewer layers keeps 99.3 % of its teacher's quality, more than"
        + " without a teacher or with one to the end; it has up to 3.7 times fewer parameters than a standard MoE."
        + " (staged-init starts from layers that its teacher trained for as many steps again, and no student starts so"
        + " without distillation. A student above its teacher shows that the teacher was trained too briefly.)";
  }

  @Override
  public String rule() {
    return "Quality is the teacher's bits per byte over the student's. The best staged student retains at least 99 %, is"
        + " clearly better than without a teacher, and not clearly worse than with one to the end. Partly: it is clearly"
        + " better than without a teacher.";
  }

  @Override
  public List<Variant> variants() {
    return List.of(teacher, plain, whole, staged, started);
  }

  @Override
  public Finding finding(Results results) {
    boolean startedIsBest = results.bits(started).mean() < results.bits(staged).mean();
    Variant variant = startedIsBest ? started : staged;
    Sample best = results.bits(variant);
    double retained = retained(results, variant);
    boolean better = best.clearlyBelow(results.bits(plain));
    double standard = standardParameters();
    return new Finding(
        Verdict.of(
            better && retained >= RETAINED && !results.bits(whole).clearlyBelow(best), better),
        Results.number(
            "%s retains %.1f %% of the teacher's quality, without a teacher it is %.1f %%, with one to the end %.1f %%;"
                + " a standard MoE of as many experts as the paper's has %.1f times the student's parameters.",
            variant.name(),
            100 * retained,
            100 * retained(results, plain),
            100 * retained(results, whole),
            standard / variant.parameters()),
        results.table(
            variants(),
            List.of("quality retained", "standard MoE's parameters beside it"),
            each ->
                List.of(
                    Results.number("%.2f %%", 100 * retained(results, each)),
                    Results.number("%.2f", standard / each.parameters()))),
        results.bitsOverTokens(variants()));
  }

  private double retained(Results results, Variant variant) {
    return results.bits(teacher).mean() / results.bits(variant).mean();
  }

  private static long standardParameters() {
    try (LanguageModel model = new LanguageModel(Shapes.moe(Shapes.HIDDEN, Shapes.MANY))) {
      return model.parameters().count();
    }
  }
}
