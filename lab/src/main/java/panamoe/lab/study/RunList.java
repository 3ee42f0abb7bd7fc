package panamoe.lab.study;

import java.util.Collection;
import java.util.function.ToLongFunction;
import panamoe.io.Words;

/**
 * A table of runs with the time left to train.
 *
 * @param done returns the saved steps of a run
 */
record RunList(Collection<StudyRun> runs, ToLongFunction<StudyRun> done) {
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    line(text, "run", "parameters", "tokens", "done", "minutes left");
    long tokens = 0;
    double left = 0;
    for (StudyRun run : runs) {
      double share = (double) done.applyAsLong(run) / run.steps();
      double seconds = share >= 1 ? 0 : (1 - share) * run.seconds();
      line(
          text,
          run.name(),
          Words.of("%,d", run.parameters()),
          Words.of("%,d", run.tokens()),
          Words.of("%.0f %%", 100 * share),
          Words.of("%.1f", seconds / 60));
      tokens += run.tokens();
      left += seconds;
    }
    line(text, runs.size() + " runs", "", Words.of("%,d", tokens), "", Words.of("%.0f", left / 60));
    return text.toString();
  }

  private static void line(
      StringBuilder text, String run, String parameters, String tokens, String done, String left) {
    String row = Words.of("%-18s %12s %14s %6s %13s", run, parameters, tokens, done, left);
    text.append(row).append(System.lineSeparator());
  }
}
