package panamoe.harness.train;

import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import panamoe.harness.ShellWord;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.train.PairMetrics;
import panamoe.train.Validation;
import tools.jackson.databind.json.JsonMapper;

/**
 * The result of a run.
 *
 * @param before steps done before this process began to train
 * @param steps in total
 * @param seconds of training in this process
 */
record TrainingResult(
    Path folder,
    long before,
    long steps,
    long tokensPerStep,
    Validated validation,
    double seconds,
    Path report) {
  /**
   * The last validation.
   *
   * @param count tokens predicted for it, or pairs; 0 if unknown
   * @param best the step whose checkpoint is the best; empty without {@code patience}
   */
  record Validated(Validation.Score score, long count, OptionalLong best) {
    private String words() {
      PairMetrics pairs = score.pairs();
      String thing = pairs == null ? "token" : "pair";
      return (pairs == null
              ? Words.of("validation %.4f bits per byte", score.bitsPerByte())
              : Words.of(
                  "validation loss %.4f, %.1f %% of the pairs right",
                  pairs.loss(), 100 * pairs.accuracy()))
          + (count == 0 ? "" : " on " + Count.of(count, thing));
    }
  }

  double bitsPerByte() {
    return validation.score.bitsPerByte();
  }

  String toJson() {
    Map<String, Object> json =
        new TreeMap<>(
            Map.of(
                "folder",
                folder.toString(),
                "steps_before",
                before,
                "steps",
                steps,
                "tokens",
                steps * tokensPerStep,
                "validation_bits_per_byte",
                bitsPerByte(),
                "seconds",
                seconds,
                "report",
                report.toString()));
    PairMetrics pairs = validation.score.pairs();
    if (pairs != null) {
      json.put("validation_loss", pairs.loss());
      json.put("validation_pair_accuracy", pairs.accuracy());
    }
    validation.best.ifPresent(step -> json.put("best_step", step));
    return JsonMapper.shared().valueToTree(json).toString();
  }

  @Override
  public String toString() {
    return Words.of(
        "%s; %s%s%nreport: %s%s",
        done(),
        validation.words(),
        validation.best.isEmpty()
            ? ""
            : Words.of(
                "%nbest: step %,d, whose checkpoint generate opens", validation.best.getAsLong()),
        report,
        further());
  }

  private String done() {
    if (before == steps) {
      return Words.of(
          "already complete: %s on %s",
          Count.of(steps, "step"), Count.of(steps * tokensPerStep, "token"));
    }
    return Words.of(
        "trained %s on %s in %.0f s",
        trained(), Count.of((steps - before) * tokensPerStep, "token"), seconds);
  }

  private String trained() {
    if (before == 0) {
      return Count.of(steps, "step");
    }
    String which = before + 1 == steps ? "step %2$,d" : "steps %1$,d to %2$,d";
    return Words.of(which, before + 1, steps);
  }

  private String further() {
    String command = "%nto train it further: panamoe train --out %s --resume --steps %d";
    return before == steps && validation.best.isEmpty()
        ? Words.of(command, ShellWord.quoted(folder.toString()), 2 * steps)
        : "";
  }
}
