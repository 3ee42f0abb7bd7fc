package panamoe.lab.study;

import java.util.List;

/** One claim of the paper: its runs, and how their numbers decide. */
abstract class Part {
  private final Claim claim;

  Part(Claim claim) {
    this.claim = claim;
  }

  final Claim claim() {
    return claim;
  }

  /** What is trained; teachers before their students. */
  abstract List<Variant> variants();

  /** Judges the claim by the finished runs. */
  abstract Finding finding(Results results);
}
