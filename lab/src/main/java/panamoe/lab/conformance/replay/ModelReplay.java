package panamoe.lab.conformance.replay;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ModelRunner;
import panamoe.engine.schedule.StepRows;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * A replayed whole model. It is opened like in every command, and computes in float32 with the
 * cache of generation.
 */
public final class ModelReplay implements AutoCloseable {
  /**
   * A greedy completion.
   *
   * @param text prompt and completion
   * @param logits [N, V] before each of the N generated tokens
   */
  public record Written(long[] text, float[] logits) {}

  private final Backend backend;
  private final LanguageModel model;

  /** With decoded weights, for which the loader must not warn. */
  public ModelReplay(Replay replay, ModelFolder folder) {
    this.backend = replay.backend();
    List<String> warnings = new ArrayList<>();
    this.model = folder.load(backend, DType.FLOAT32, warnings);
    replay.require(warnings.isEmpty(), String.join("; ", warnings));
  }

  /** With weights of these types. */
  public ModelReplay(Backend backend, ModelFolder folder, WeightTypes types) {
    this.backend = backend;
    this.model = folder.load(backend, InferenceSettings.of(types), new ArrayList<>());
  }

  /** Logits [T, V] after each token of {@code text}. */
  public float[] logits(long[] text) {
    return logits(null, text);
  }

  /**
   * Logits of {@code text} in an encoder-decoder model.
   *
   * @param source input of the encoder; null without an encoder
   */
  public float[] logits(long[] source, long[] text) {
    int vocabulary = model.config().vocabulary();
    float[] all = new float[text.length * vocabulary];
    try (ModelRunner runner = runner(text.length)) {
      StepRows rows = new StepRows(text.length);
      if (source != null) {
        rows.encode(0, ints(source));
      }
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

  /** The encoder's last hidden states [S, M]. */
  public float[] encoded(long[] source) {
    try (ModelRunner runner = runner(1)) {
      return runner.encode(ints(source));
    }
  }

  /**
   * Generates {@code count} greedy tokens without a cache: each step computes all tokens again,
   * because the recorded capacity counts them.
   *
   * @param start the decoder's first token
   */
  public Written greedyAnew(long[] source, long start, int count) {
    int vocabulary = model.config().vocabulary();
    long[] text = {start};
    float[] logits = new float[count * vocabulary];
    for (int step = 0; step < count; step++) {
      float[] all = logits(source, text);
      float[] row = Arrays.copyOfRange(all, all.length - vocabulary, all.length);
      System.arraycopy(row, 0, logits, step * vocabulary, vocabulary);
      text = Arrays.copyOf(text, text.length + 1);
      text[text.length - 1] = largest(row);
    }
    return new Written(text, logits);
  }

  private static int[] ints(long[] tokens) {
    return Arrays.stream(tokens).mapToInt(Math::toIntExact).toArray();
  }

  /** Generates {@code count} greedy tokens after a prompt. */
  public Written greedy(long[] prompt, int count) {
    int vocabulary = model.config().vocabulary();
    long[] text = Arrays.copyOf(prompt, prompt.length + count);
    float[] logits = new float[count * vocabulary];
    float[] row = new float[vocabulary];
    try (ModelRunner runner = runner(text.length)) {
      StepRows rows = new StepRows(text.length);
      rows.change(0, 0, 0);
      int computed = 0;
      for (int step = 0; step < count; step++) {
        for (; computed < prompt.length + step; computed++) {
          rows.add(Math.toIntExact(text[computed]), 0, computed);
        }
        rows.want();
        runner.run(rows);
        rows.clear();
        runner.logits(0, row);
        System.arraycopy(row, 0, logits, step * vocabulary, vocabulary);
        text[computed] = largest(row);
      }
    }
    return new Written(text, logits);
  }

  private ModelRunner runner(int length) {
    EngineConfig one = new EngineConfig(1, length, 1, length, 0, false, 0);
    return new ModelRunner(backend, model, one);
  }

  /** The index of the largest logit, the first of equal ones. */
  public static int largest(float[] row) {
    int best = 0;
    for (int i = 1; i < row.length; i++) {
      best = row[i] > row[best] ? i : best;
    }
    return best;
  }

  @Override
  public void close() {
    model.close();
  }
}
