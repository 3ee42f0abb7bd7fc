package panamoe.lab.study;

import java.util.List;

/** One claim: its runs, and the rule of the verdict. */
abstract class StudyPart {
  private final Claim claim;

  StudyPart(Claim claim) {
    this.claim = claim;
  }

  final Claim claim() {
    return claim;
  }

  /** The variants to train; teachers come before their students. */
  abstract List<Variant> variants();

  /** Further variants that the finished ones ask for; asked again once these are trained. */
  List<Variant> next(StudyResults results) {
    return List.of();
  }

  /** Judges the claim by the finished runs. */
  abstract Finding finding(StudyResults results);
}
