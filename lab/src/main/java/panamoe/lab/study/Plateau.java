package panamoe.lab.study;

import java.util.List;
import panamoe.io.Words;

/** S0: the premise of the students' parts, that more tokens hardly help the teacher. */
final class Plateau extends StudyPart {
  private final Variant teacher;
  private final Variant longer;

  Plateau(StudyBudget budget) {
    super(Claim.S0);
    teacher = teacher(budget);
    longer = budget.deep().twice().seeds("teacher-twice", Shapes.teacher());
  }

  static Variant teacher(StudyBudget budget) {
    return budget.deep().seeds("teacher", Shapes.teacher());
  }

  @Override
  List<Variant> variants() {
    return List.of(teacher, longer);
  }

  @Override
  Finding finding(StudyResults results) {
    SeedSample once = results.bits(teacher);
    SeedSample twice = results.bits(longer);
    double gain = once.mean() - twice.mean();
    return new Finding(
        Verdict.of(once.notWorse(twice, SeedSample.MARGIN), false, twice.below(once)),
        Words.of("%.4f gained", gain),
        Words.of(
            "the teacher reaches %s bits per byte after %.1f tokens a parameter, and %s after twice as many.",
            once, (double) teacher.first().tokens() / teacher.parameters(), twice),
        results.table(variants(), List.of(), _ -> List.of()),
        results.bitsOverTokens(variants()));
  }
}
