package panamoe.lab.conformance.transformers;

import java.nio.file.Path;
import java.util.Arrays;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.lab.conformance.replay.Replay;
import panamoe.open.ModelFolder;

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

  /**
   * Encoder and decoder, with the capacity that the peer counts over each sequence: each is read,
   * and computed, by itself.
   */
  public static void encoderDecoder(Replay replay) {
    GoldenFile golden = replay.golden();
    Path folder = golden.path().toAbsolutePath().getParent();
    try (ModelReplay model = new ModelReplay(replay, ModelFolder.open(folder).withDropping())) {
      long[][] sources = sequences(golden, "input_ids");
      long[][] texts = sequences(golden, "decoder_input_ids");
      float[][] encoded = new float[sources.length][];
      float[][] logits = new float[sources.length][];
      for (int i = 0; i < sources.length; i++) {
        encoded[i] = model.encoded(sources[i]);
        logits[i] = model.logits(sources[i], texts[i]);
      }
      replay.close("encoder_last_hidden_state", Layouts.concatenated(encoded));
      model.compare("logits", Layouts.concatenated(logits));
      long[] recorded = golden.longs("greedy_ids");
      ModelReplay.Written written = model.greedyAnew(sources[0], recorded[0], recorded.length - 1);
      long[] text = recorded.clone();
      System.arraycopy(written.ids(), 0, text, 1, written.ids().length);
      replay.exact("greedy_ids", text);
      model.compare("greedy_step_logits", written.logits());
    }
  }

  private static long[][] sequences(GoldenFile golden, String name) {
    long[] all = golden.longs(name);
    int length = golden.size(name, 1);
    long[][] sequences = new long[all.length / length][];
    Arrays.setAll(sequences, i -> Arrays.copyOfRange(all, i * length, (i + 1) * length));
    return sequences;
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
