package panamoe.lab.conformance.replay;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ModelRunner;
import panamoe.engine.schedule.StepRows;
import panamoe.model.LanguageModel;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * A whole model that is replayed: opened as every command opens it, it computes in float32, with
 * the cache that texts are written with.
 */
public final class ModelReplay implements AutoCloseable {
  /** Largest difference of logits, absolute. */
  private static final double LOGITS = 1e-4;

  /**
   * A text that was written greedily.
   *
   * @param ids of the tokens that were written
   * @param logits [ids, V], that each was chosen by
   */
  public record Written(long[] ids, float[] logits) {}

  private final Replay replay;
  private final LanguageModel model;

  /** With decoded weights. */
  public ModelReplay(Replay replay, Path path) {
    this(replay, ModelFolder.open(path));
  }

  public ModelReplay(Replay replay, ModelFolder folder) {
    this.replay = replay;
    List<String> warnings = new ArrayList<>();
    this.model = folder.load(replay.backend(), DType.FLOAT32, warnings);
    replay.comparison().require(warnings.isEmpty(), String.join("; ", warnings));
  }

  private ModelReplay(Replay replay, LanguageModel model) {
    this.replay = replay;
    this.model = model;
  }

  /**
   * With matrices in the blocks of the file; empty if it has none that are multiplied by.
   *
   * @param exact whether they are multiplied by rows that are not rounded
   */
  public static Optional<ModelReplay> asStored(Replay replay, Path path, boolean exact) {
    ModelFolder folder = ModelFolder.open(path);
    WeightTypes types = folder.typesAsStored(DType.FLOAT32).withExact(exact);
    return replay.backend().onHost() && types.quantized()
        ? Optional.of(
            new ModelReplay(
                replay,
                folder.load(replay.backend(), InferenceSettings.of(types), new ArrayList<>())))
        : Optional.empty();
  }

  /** The logits after each token of a text [T, V]. */
  public float[] logits(long[] text) {
    return logits(null, text);
  }

  /**
   * The logits of a text that answers another one.
   *
   * @param source what the encoder reads; null without an encoder
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

  /** The encoder's last hidden states [S, M] of a text. */
  public float[] encoded(long[] source) {
    try (ModelRunner runner = runner(1)) {
      return runner.encode(ints(source));
    }
  }

  /**
   * Writes {@code count} tokens behind a text of the encoder, each with the largest logit, and
   * computes all that is written again for each: so the recorded capacity was counted.
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
    return new Written(Arrays.copyOfRange(text, 1, text.length), logits);
  }

  private static int[] ints(long[] tokens) {
    return Arrays.stream(tokens).mapToInt(Math::toIntExact).toArray();
  }

  /** Writes {@code count} tokens after a prompt, each with the largest logit. */
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
    return new Written(Arrays.copyOfRange(text, prompt.length, text.length), logits);
  }

  /** Compares logits with a recorded tensor. */
  public void compare(String name, float[] logits) {
    replay.close(name, logits);
    float[] recorded = replay.golden().floats(name);
    double most = 0;
    for (int i = 0; i < Math.min(recorded.length, logits.length); i++) {
      most = Math.max(most, Math.abs((double) recorded[i] - logits[i]));
    }
    replay.comparison().require(most <= LOGITS, name + " differ by " + most);
  }

  /**
   * Compares logits with a recorded tensor of decoded weights.
   *
   * @param leftOut by row whether it is not compared
   * @param most largest difference, absolute
   * @param rms largest root of the mean of squared differences
   */
  public void compareRounded(
      String name, float[] logits, boolean[] leftOut, double most, double rms) {
    float[] recorded = replay.golden().floats(name);
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
    replay
        .comparison()
        .require(
            recorded.length == logits.length && largest <= most && found <= rms,
            name + " of stored blocks differ by " + largest + ", rms " + found);
  }

  private ModelRunner runner(int length) {
    EngineConfig one = new EngineConfig(1, length, 1, length, 0, false, 0);
    return new ModelRunner(replay.backend(), model, one);
  }

  private static int largest(float[] row) {
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
