package panamoe.harness.train;

import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import panamoe.harness.ShellWord;
import panamoe.io.Count;
import panamoe.io.Words;
import tools.jackson.databind.json.JsonMapper;

/**
 * The outcome of a run.
 *
 * @param before steps done before this process began to train
 * @param steps in total
 * @param bitsPerByte on the validation text
 * @param validationTokens of which that is; 0 if unknown
 * @param seconds of training in this process
 */
record TrainingResult(
    Path folder,
    long before,
    long steps,
    long tokensPerStep,
    double bitsPerByte,
    long validationTokens,
    double seconds,
    Path report) {
  String toJson() {
    return JsonMapper.shared()
        .valueToTree(
            new TreeMap<>(
                Map.of(
                    "folder", folder.toString(),
                    "steps_before", before,
                    "steps", steps,
                    "tokens", steps * tokensPerStep,
                    "validation_bits_per_byte", bitsPerByte,
                    "seconds", seconds,
                    "report", report.toString())))
        .toString();
  }

  @Override
  public String toString() {
    return Words.of(
        "%s; validation %.4f bits per byte%s%nreport: %s%s",
        done(),
        bitsPerByte,
        validationTokens == 0 ? "" : " on " + Count.of(validationTokens, "token"),
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
    return before == steps ? Words.of(command, ShellWord.quoted(folder.toString()), 2 * steps) : "";
  }
}
