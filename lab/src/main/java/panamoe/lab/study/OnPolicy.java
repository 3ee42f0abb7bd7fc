package panamoe.lab.study;

import java.util.List;
import panamoe.io.Words;
import panamoe.model.KeptLayers;
import panamoe.train.DistillationConfig;
import panamoe.train.DistillationConfig.Fall;
import panamoe.train.DistillationConfig.Stage;

/** S9: a teacher that reads the text, or what the student writes. */
final class OnPolicy extends StudyPart {
  private static final int LAYERS = 7;

  private final Measurements measurements;
  private final Variant staged;
  private final Variant sampled;
  private final Variant teacher;

  OnPolicy(StudyBudget budget, Measurements measurements) {
    super(Claim.S9);
    this.measurements = measurements;
    teacher = Plateau.teacher(budget);
    staged = Students.staged(budget, LAYERS);
    KeptLayers kept = KeptLayers.of(LAYERS, Shapes.teacher());
    Stage stage = new Stage(Fall.STOP, Students.PAPER_STOP);
    sampled =
        budget
            .deep()
            .students(
                "on-policy-of-" + LAYERS,
                kept.config(Shapes.teacher()),
                new DistillationConfig(1, 1, stage, kept.layers(), 0.0),
                teacher);
  }

  @Override
  List<Variant> variants() {
    return List.of(teacher, staged, sampled);
  }

  @Override
  Finding finding(StudyResults results) {
    SeedSample read = results.bits(staged);
    SeedSample written = results.bits(sampled);
    return new Finding(
        Verdict.of(
            written.below(read),
            false,
            read.below(written) || written.equivalent(read, SeedSample.MARGIN)),
        Words.of("%+.4f", written.mean() - read.mean()),
        Words.of("on-policy reaches %s bits per byte, staged %s.", written, read),
        results.table(
            variants(),
            List.of("tasks solved, %"),
            each ->
                List.of(
                    new SeedSample(
                            each.runs().stream()
                                .map(run -> 100 * measurements.accuracy(run))
                                .toList())
                        .toString())),
        results.bitsOverTokens(variants()));
  }
}
