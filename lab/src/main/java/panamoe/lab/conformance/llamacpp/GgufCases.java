package panamoe.lab.conformance.llamacpp;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.lab.conformance.replay.Replay;

/**
 * Whole models in GGUF, whose files lie beside the case. What llama.cpp computed from weights
 * decoded to float32 is compared: with quantised weights it quantises activations too. Experts that
 * are kept in their blocks are compared with the same, less closely where activations are rounded.
 */
public final class GgufCases {
  /**
   * Activations in int8 move the difference of two router logits by 0.05 in rms and, rarely, by
   * more than this: where the best expert that was left out is closer, it may be chosen.
   */
  private static final double FLIPS = 0.1;

  private GgufCases() {}

  /** The logits of a prompt, and of a text that is written greedily after it. */
  public static void model(Replay replay) {
    try (ModelReplay model = open(replay)) {
      model.compare("logits_f32", model.logits(replay.golden().longs("prompt_ids")));
      greedy(replay, model, "");
    }
    stored(replay);
  }

  /**
   * Matrices in blocks: beside activations as they are as close as decoded ones; beside rounded
   * activations at most twice as far as llama.cpp's, which rounds them too, in the rows whose
   * experts rounding cannot change.
   */
  private static void stored(Replay replay) {
    GoldenFile golden = replay.golden();
    ModelReplay.asStored(replay, file(golden), true)
        .ifPresent(
            model -> {
              try (model) {
                model.compare("logits_f32", model.logits(golden.longs("prompt_ids")));
              }
            });
    ModelReplay.asStored(replay, file(golden), false)
        .ifPresent(
            model -> {
              try (model) {
                long[] prompt = golden.longs("prompt_ids");
                model.compareRounded(
                    "logits_f32",
                    model.logits(prompt),
                    leftOut(replay, prompt.length),
                    2 * golden.setting("logits_vs_logits_f32_max_abs").asDouble(),
                    2 * golden.setting("logits_vs_logits_f32_rms").asDouble());
              }
            });
  }

  /** Which rows have a gap between chosen experts and others that rounding may close. */
  private static boolean[] leftOut(Replay replay, int rows) {
    boolean[] leftOut = new boolean[rows];
    int layers = replay.golden().setting("spec").path("L").asInt();
    for (int row = 0; row < rows; row++) {
      for (int layer = 0; layer < layers && !leftOut[row]; layer++) {
        double gap = gap(replay.golden(), layer, row);
        if (gap < FLIPS) {
          leftOut[row] = true;
          replay
              .comparison()
              .note(
                  String.format(
                      Locale.ROOT,
                      "row %d is not compared beside int8 activations: router gap %.3f in layer %d",
                      row,
                      gap,
                      layer));
        }
      }
    }
    return leftOut;
  }

  /** How far the router's logit of the last chosen expert is above the next; no router: far. */
  private static double gap(GoldenFile golden, int layer, int row) {
    String name = "router_logits." + layer;
    if (!golden.has(name)) {
      return Double.POSITIVE_INFINITY;
    }
    int experts = golden.size(name, 1);
    int chosen = golden.size("topk." + layer, 1);
    float[] logits = Arrays.copyOfRange(golden.floats(name), row * experts, (row + 1) * experts);
    Arrays.sort(logits);
    int last = experts - chosen;
    return last == 0 ? Double.POSITIVE_INFINITY : (double) logits[last] - logits[last - 1];
  }

  /** The prompts of chats, of which only the last row was recorded. */
  public static void texts(Replay replay) {
    try (ModelReplay model = open(replay)) {
      for (int i = 0; i < replay.golden().setting("cases").size(); i++) {
        String prefix = i + ".";
        float[] logits = model.logits(replay.golden().longs(prefix + "prompt_ids"));
        int vocabulary = replay.golden().size(prefix + "logits_f32", 1);
        model.compare(
            prefix + "logits_f32",
            Arrays.copyOfRange(logits, logits.length - vocabulary, logits.length));
        greedy(replay, model, prefix);
      }
    }
  }

  private static ModelReplay open(Replay replay) {
    return new ModelReplay(replay, file(replay.golden()));
  }

  private static Path file(GoldenFile golden) {
    Path first = Path.of(golden.setting("files").path(0).asText());
    return golden.path().toAbsolutePath().resolveSibling(first.getFileName());
  }

  private static void greedy(Replay replay, ModelReplay model, String prefix) {
    GoldenFile golden = replay.golden();
    int count = golden.size(prefix + "greedy_ids", 0);
    ModelReplay.Written written = model.greedy(golden.longs(prefix + "prompt_ids"), count);
    replay.exact(prefix + "greedy_ids", written.ids());
    model.compare(prefix + "greedy_logits_f32", written.logits());
  }
}
