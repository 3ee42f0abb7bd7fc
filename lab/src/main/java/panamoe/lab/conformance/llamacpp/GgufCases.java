package panamoe.lab.conformance.llamacpp;

import java.nio.file.Path;
import java.util.Arrays;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.lab.conformance.replay.Replay;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * Whole GGUF models, next to the case. The recorded logits are llama.cpp's with weights decoded to
 * float32, because with quantized weights it also quantizes activations. Our runs with experts in
 * their blocks are compared with the same logits, with a larger tolerance if activations are
 * rounded.
 */
public final class GgufCases {
  /**
   * Int8 activations change the gap between two router logits by 0.05 rms, rarely by more than
   * this. With a smaller gap another expert may be chosen.
   */
  private static final double FLIPS = 0.1;

  private static final String PROMPT = "prompt_ids";
  private static final String LOGITS = "logits_f32";

  private GgufCases() {}

  /** Logits of a prompt, and of its greedy continuation. */
  public static void model(Replay replay) {
    ModelFolder folder = folder(replay.golden());
    try (ModelReplay model = new ModelReplay(replay, folder)) {
      replay.closeLogits(LOGITS, model.logits(replay.golden().longs(PROMPT)));
      greedy(replay, model, "");
    }
    WeightTypes stored = folder.typesAsStored(DType.FLOAT32);
    if (replay.backend().onHost() && stored.quantized()) {
      stored(replay, folder, stored);
    }
  }

  /**
   * Quantized matrices. With float activations they match like decoded ones. With int8 activations
   * the error is at most twice that of llama.cpp, which rounds too, in rows whose experts rounding
   * cannot change.
   */
  private static void stored(Replay replay, ModelFolder folder, WeightTypes types) {
    long[] prompt = replay.golden().longs(PROMPT);
    try (ModelReplay model = new ModelReplay(replay.backend(), folder, types.withExact(true))) {
      replay.closeLogits(LOGITS, model.logits(prompt));
    }
    try (ModelReplay model = new ModelReplay(replay.backend(), folder, types.withExact(false))) {
      compareRounded(replay, model.logits(prompt), leftOut(replay, prompt.length));
    }
  }

  /**
   * @param leftOut rows that are not compared
   */
  private static void compareRounded(Replay replay, float[] logits, boolean[] leftOut) {
    GoldenFile golden = replay.golden();
    double most = 2 * golden.setting("logits_vs_logits_f32_max_abs").asDouble();
    double rms = 2 * golden.setting("logits_vs_logits_f32_rms").asDouble();
    float[] recorded = golden.floats(LOGITS);
    int vocabulary = logits.length / leftOut.length;
    double largest = 0;
    double squares = 0;
    int compared = 0;
    for (int i = 0; i < logits.length; i++) {
      if (leftOut[i / vocabulary]) {
        continue;
      }
      compared++;
      double apart = (double) recorded[i] - logits[i];
      largest = Math.max(largest, Math.abs(apart));
      squares += apart * apart;
    }
    double found = Math.sqrt(squares / compared); // NaN, which fails, if all rows were left out
    replay.require(
        recorded.length == logits.length && largest <= most && found <= rms,
        LOGITS + " of stored blocks differ by " + largest + ", rms " + found);
  }

  /** Rows whose gap between chosen and other experts is within rounding. */
  private static boolean[] leftOut(Replay replay, int rows) {
    boolean[] leftOut = new boolean[rows];
    int layers = replay.golden().setting("spec").path("L").asInt();
    for (int row = 0; row < rows; row++) {
      for (int layer = 0; layer < layers && !leftOut[row]; layer++) {
        double gap = gap(replay.golden(), layer, row);
        if (gap < FLIPS) {
          leftOut[row] = true;
          replay.note(
              "row %d is not compared beside int8 activations: router gap %.3f in layer %d",
              row, gap, layer);
        }
      }
    }
    return leftOut;
  }

  /**
   * Gap between the router logits of the last chosen expert and the next one; infinite without a
   * router.
   */
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

  /** Chat prompts with recorded logits of the last token only. */
  public static void texts(Replay replay) {
    GoldenFile golden = replay.golden();
    try (ModelReplay model = new ModelReplay(replay, folder(golden))) {
      for (int i = 0; i < golden.setting("cases").size(); i++) {
        String prefix = i + ".";
        float[] logits = model.logits(golden.longs(prefix + PROMPT));
        int from = logits.length - golden.size(prefix + LOGITS, 1);
        replay.closeLogits(prefix + LOGITS, Arrays.copyOfRange(logits, from, logits.length));
        greedy(replay, model, prefix);
      }
    }
  }

  /** The model whose first file the case names. */
  private static ModelFolder folder(GoldenFile golden) {
    Path first = Path.of(golden.setting("files").path(0).asString());
    return ModelFolder.open(golden.path().toAbsolutePath().resolveSibling(first.getFileName()));
  }

  private static void greedy(Replay replay, ModelReplay model, String prefix) {
    long[] prompt = replay.golden().longs(prefix + PROMPT);
    int count = replay.golden().size(prefix + "greedy_ids", 0);
    ModelReplay.Written written = model.greedy(prompt, count);
    replay.exact(
        prefix + "greedy_ids",
        Arrays.copyOfRange(written.text(), prompt.length, written.text().length));
    replay.closeLogits(prefix + "greedy_logits_f32", written.logits());
  }
}
