package panamoe.harness.conformance.transformers;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.engine.EngineConfig;
import panamoe.engine.ModelFolder;
import panamoe.engine.ModelRunner;
import panamoe.engine.StepRows;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Replay;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;

/**
 * Whole models of transformers: the case's folder is opened as every command opens it, and computes
 * in float32, with the cache that texts are written with.
 */
public final class ModelCases {
  private static final double LOGITS = 1e-4;

  private ModelCases() {}

  /** Logits of whole texts, and of a text that is written greedily. */
  public static void decoder(Replay replay) {
    GoldenFile golden = replay.golden();
    ModelFolder folder = ModelFolder.open(golden.path().toAbsolutePath().getParent());
    List<String> warnings = new ArrayList<>();
    try (LanguageModel model = folder.load(replay.backend(), DType.FLOAT32, warnings)) {
      replay.comparison().require(warnings.isEmpty(), String.join("; ", warnings));
      int length = golden.size("input_ids", 1);
      long[] ids = golden.longs("input_ids");
      float[] logits = new float[0];
      for (int from = 0; from < ids.length; from += length) {
        long[] text = Arrays.copyOfRange(ids, from, from + length);
        float[] more = logits(replay, model, text);
        int before = logits.length;
        logits = Arrays.copyOf(logits, before + more.length);
        System.arraycopy(more, 0, logits, before, more.length);
      }
      compare(replay, "logits", logits);
      greedy(replay, model);
    }
  }

  private static float[] logits(Replay replay, LanguageModel model, long[] text) {
    int vocabulary = model.config().vocabulary();
    float[] all = new float[text.length * vocabulary];
    try (ModelRunner runner = runner(replay, model, text.length)) {
      StepRows rows = new StepRows(text.length);
      rows.change(0, 0, 0);
      for (int position = 0; position < text.length; position++) {
        rows.add(Math.toIntExact(text[position]), 0, position);
        rows.want();
      }
      runner.run(rows);
      float[] row = new float[vocabulary];
      for (int position = 0; position < text.length; position++) {
        runner.logits(position, row);
        System.arraycopy(row, 0, all, position * vocabulary, vocabulary);
      }
    }
    return all;
  }

  /** Writes after the prompt, token by token, and compares tokens and logits. */
  private static void greedy(Replay replay, LanguageModel model) {
    long[] prompt = replay.golden().longs("prompt_ids");
    int length = replay.golden().size("greedy_ids", 1);
    boolean logitsKnown = replay.golden().has("greedy_step_logits");
    int vocabulary = model.config().vocabulary();
    long[] text = Arrays.copyOf(prompt, length);
    float[] steps = new float[(length - prompt.length) * vocabulary];
    float[] row = new float[vocabulary];
    try (ModelRunner runner = runner(replay, model, length)) {
      StepRows rows = new StepRows(length);
      rows.change(0, 0, 0);
      int computed = 0;
      for (int end = prompt.length; end < length; end++) {
        for (; computed < end; computed++) {
          rows.add(Math.toIntExact(text[computed]), 0, computed);
        }
        rows.want();
        runner.run(rows);
        rows.clear();
        runner.logits(0, row);
        System.arraycopy(row, 0, steps, (end - prompt.length) * vocabulary, vocabulary);
        text[end] = largest(row);
      }
    }
    replay.exact("greedy_ids", text);
    if (logitsKnown) {
      compare(replay, "greedy_step_logits", steps);
    }
  }

  private static ModelRunner runner(Replay replay, LanguageModel model, int length) {
    EngineConfig one = new EngineConfig(1, length, 1, length, 0, false, 0);
    return new ModelRunner(replay.backend(), model, one);
  }

  private static void compare(Replay replay, String name, float[] logits) {
    replay.close(name, logits);
    float[] recorded = replay.golden().floats(name);
    double most = 0;
    for (int i = 0; i < Math.min(recorded.length, logits.length); i++) {
      most = Math.max(most, Math.abs((double) recorded[i] - logits[i]));
    }
    replay.comparison().require(most <= LOGITS, name + " differ by " + most);
  }

  private static int largest(float[] row) {
    int best = 0;
    for (int i = 1; i < row.length; i++) {
      best = row[i] > row[best] ? i : best;
    }
    return best;
  }
}
