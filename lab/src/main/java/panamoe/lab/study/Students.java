package panamoe.lab.study;

import java.util.List;
import panamoe.config.ModelConfig;
import panamoe.io.Words;
import panamoe.model.KeptLayers;
import panamoe.model.LanguageModel;
import panamoe.train.DistillationConfig;
import panamoe.train.DistillationConfig.Fall;
import panamoe.train.DistillationConfig.Stage;

/** S5: students of a PR-MoE with one layer less, distilled in four ways. */
final class Students extends StudyPart {
  private static final double RETAINED = 0.99;

  private final Variant teacher;
  private final Variant plain;
  private final Variant whole;
  private final Variant staged;
  private final Variant started;

  Students(StudyBudget budget) {
    super(Claim.S5);
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
  List<Variant> variants() {
    return List.of(teacher, plain, whole, staged, started);
  }

  @Override
  Finding finding(StudyResults results) {
    boolean startedIsBest = results.bits(started).mean() < results.bits(staged).mean();
    Variant variant = startedIsBest ? started : staged;
    SeedSample best = results.bits(variant);
    double retained = retained(results, variant);
    boolean better = best.clearlyBelow(results.bits(plain));
    double standard = standardParameters();
    return new Finding(
        Verdict.of(
            better && retained >= RETAINED && !results.bits(whole).clearlyBelow(best), better),
        Words.of(
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
                    Words.of("%.2f %%", 100 * retained(results, each)),
                    Words.of("%.2f", standard / each.parameters()))),
        results.bitsOverTokens(variants()));
  }

  private double retained(StudyResults results, Variant variant) {
    return results.bits(teacher).mean() / results.bits(variant).mean();
  }

  private static long standardParameters() {
    try (LanguageModel model = new LanguageModel(Shapes.moe(Shapes.HIDDEN, Shapes.MANY))) {
      return model.parameters().count();
    }
  }
}
