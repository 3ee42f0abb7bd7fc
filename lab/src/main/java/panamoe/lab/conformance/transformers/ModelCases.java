package panamoe.lab.conformance.transformers;

import java.util.Arrays;
import java.util.function.Function;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.lab.conformance.replay.Replay;
import panamoe.open.ModelFolder;

/** Whole models of transformers of any family, in the case's folder. */
public final class ModelCases {
  private ModelCases() {}

  /** Logits of given sequences, and of a greedy completion. */
  public static void whole(Replay replay) {
    GoldenFile golden = replay.golden();
    ModelFolder folder = ModelFolder.open(golden.path().toAbsolutePath().getParent());
    if (golden.has("decoder_input_ids")) {
      encoderDecoder(replay, folder.withDropping());
      return;
    }
    try (ModelReplay model = new ModelReplay(replay, inContext(golden, folder))) {
      replay.closeLogits("logits", each(sequences(golden, "input_ids"), model::logits));
      long[] prompt = golden.longs("prompt_ids");
      greedy(replay, model.greedy(prompt, golden.size("greedy_ids", 1) - prompt.length));
    }
  }

  /** The peer chooses LongRoPE's divisors by the length of the sequence, not by the model's. */
  private static ModelFolder inContext(GoldenFile golden, ModelFolder folder) {
    int longest = Math.max(golden.size("input_ids", 1), golden.size("greedy_ids", 1));
    Rotary rotary = folder.config().blocks().getFirst().attention().rotary();
    return rotary != null
            && rotary.scaling() instanceof RotaryScaling.LongRope scaling
            && longest <= scaling.trainedPositions()
        ? folder.withContext(Math.min(scaling.trainedPositions(), folder.config().context()))
        : folder;
  }

  /** Computes each sequence separately, because the peer's capacity is per sequence. */
  private static void encoderDecoder(Replay replay, ModelFolder folder) {
    GoldenFile golden = replay.golden();
    try (ModelReplay model = new ModelReplay(replay, folder)) {
      long[][] sources = sequences(golden, "input_ids");
      long[][] texts = sequences(golden, "decoder_input_ids");
      replay.close("encoder_last_hidden_state", each(sources, model::encoded));
      float[][] logits = new float[sources.length][];
      Arrays.setAll(logits, i -> model.logits(sources[i], texts[i]));
      replay.closeLogits("logits", Layouts.concatenated(logits));
      long[] recorded = golden.longs("greedy_ids");
      greedy(replay, model.greedyAnew(sources[0], recorded[0], recorded.length - 1));
    }
  }

  private static long[][] sequences(GoldenFile golden, String name) {
    long[] all = golden.longs(name);
    int length = golden.size(name, 1);
    long[][] sequences = new long[all.length / length][];
    Arrays.setAll(sequences, i -> Arrays.copyOfRange(all, i * length, (i + 1) * length));
    return sequences;
  }

  private static float[] each(long[][] sequences, Function<long[], float[]> computed) {
    return Layouts.concatenated(Arrays.stream(sequences).map(computed).toArray(float[][]::new));
  }

  private static void greedy(Replay replay, ModelReplay.Written written) {
    replay.exact("greedy_ids", written.text());
    if (replay.golden().has("greedy_step_logits")) {
      replay.closeLogits("greedy_step_logits", written.logits());
    }
  }
}
