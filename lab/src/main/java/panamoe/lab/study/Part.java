package panamoe.lab.study;

import java.util.List;

/** One claim of the paper: its runs, and how their numbers decide. */
interface Part {
  /** Such as {@code S1}. */
  String name();

  String title();

  /** What the paper says. */
  String claim();

  /** When it holds, fixed before any run. */
  String rule();

  /** What is trained; teachers before their students. */
  List<Variant> variants();

  /** Judges the claim by the finished runs. */
  Finding finding(Results results);
}
