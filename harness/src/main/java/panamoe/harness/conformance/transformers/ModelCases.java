package panamoe.harness.conformance.transformers;

import java.util.Arrays;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.ModelReplay;
import panamoe.harness.conformance.replay.Replay;

/** Whole models of transformers, in the case's folder. */
public final class ModelCases {
  private ModelCases() {}

  /** Logits of whole texts, and of a text that is written greedily. */
  public static void decoder(Replay replay) {
    GoldenFile golden = replay.golden();
    try (ModelReplay model = new ModelReplay(replay, golden.path().toAbsolutePath().getParent())) {
      int length = golden.size("input_ids", 1);
      long[] ids = golden.longs("input_ids");
      float[][] logits = new float[ids.length / length][];
      for (int i = 0; i < logits.length; i++) {
        logits[i] = model.logits(Arrays.copyOfRange(ids, i * length, (i + 1) * length));
      }
      model.compare("logits", Layouts.concatenated(logits));
      greedy(replay, model);
    }
  }

  /** Writes after the prompt, token by token, and compares tokens and logits. */
  private static void greedy(Replay replay, ModelReplay model) {
    GoldenFile golden = replay.golden();
    long[] prompt = golden.longs("prompt_ids");
    int length = golden.size("greedy_ids", 1);
    ModelReplay.Written written = model.greedy(prompt, length - prompt.length);
    long[] text = Arrays.copyOf(prompt, length);
    System.arraycopy(written.ids(), 0, text, prompt.length, written.ids().length);
    replay.exact("greedy_ids", text);
    if (golden.has("greedy_step_logits")) {
      model.compare("greedy_step_logits", written.logits());
    }
  }
}
