package panamoe.lab.study;

import java.util.Collection;
import java.util.function.ToLongFunction;

/**
 * A table of runs, with what is left to train.
 *
 * @param done gives the steps of a run that are saved
 */
record RunList(Collection<Run> runs, ToLongFunction<Run> done) {
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    line(text, "run", "parameters", "tokens", "done", "minutes left");
    long tokens = 0;
    double left = 0;
    for (Run run : runs) {
      double share = (double) done.applyAsLong(run) / run.config().training().steps();
      double seconds = share >= 1 ? 0 : (1 - share) * run.seconds();
      line(
          text,
          run.name(),
          Results.number("%,d", run.parameters()),
          Results.number("%,d", run.tokens()),
          Results.number("%.0f %%", 100 * share),
          Results.number("%.1f", seconds / 60));
      tokens += run.tokens();
      left += seconds;
    }
    line(
        text,
        runs.size() + " runs",
        "",
        Results.number("%,d", tokens),
        "",
        Results.number("%.0f", left / 60));
    return text.toString();
  }

  private static void line(
      StringBuilder text, String run, String parameters, String tokens, String done, String left) {
    String row = Results.number("%-18s %12s %14s %6s %13s", run, parameters, tokens, done, left);
    text.append(row).append(System.lineSeparator());
  }
}
